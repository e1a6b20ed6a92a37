import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  DiffRequest,
  ExplainRequest,
  GetAtRequest,
  ListAtRequest,
  WhyRequest,
} from '../../src/gen/boxledger/v1/history_service.ts';
import { call, type RunningApi, startApi, unreachableDeps, violationsOf } from './api-under-test.ts';

/** Nothing behind the wire's door can be reached here: a request that came past it would fail as Internal. */
let api: RunningApi;
beforeAll(async () => {
  api = await startApi(unreachableDeps());
});
afterAll(() => api.close());

const at = (when: NonNullable<GetAtRequest['at']>['when']) => ({ when });

test('a moment is a time or a version, and one that can be', async () => {
  const getAt = (given: Partial<GetAtRequest>) =>
    violationsOf(call(api.history, api.history.getAt, GetAtRequest.fromPartial({ box: 'web', ...given })));
  expect(await getAt({})).toEqual({ at: 'must be a time or a version' });
  expect(await getAt({ at: at(undefined) })).toEqual({ at: 'must be a time or a version' });
  expect(await getAt({ at: at({ $case: 'version', value: 0n }) })).toEqual({
    'at.version': 'must be 1 or more',
  });
  const farAway = new Date(8.64e15);
  expect(await getAt({ at: at({ $case: 'time', value: farAway }) })).toEqual({
    'at.time': 'must not be after the year 9999',
  });
  expect(await getAt({ box: '../etc', at: at({ $case: 'version', value: 1n }) })).toHaveProperty('box');
});

test('every fault of a request is named at once', async () => {
  const listAt = ListAtRequest.fromPartial({
    states: ['asleep'],
    pageSize: 5000,
    namePrefix: 'x'.repeat(99),
  });
  expect(Object.keys(await violationsOf(call(api.history, api.history.listAt, listAt))).sort()).toEqual([
    'at',
    'name_prefix',
    'page_size',
    'states[0]',
  ]);
  const diff = DiffRequest.fromPartial({ box: '', to: at({ $case: 'version', value: 0n }) });
  expect(Object.keys(await violationsOf(call(api.history, api.history.diff, diff))).sort()).toEqual([
    'box',
    'from',
    'to.version',
  ]);
  const why = WhyRequest.fromPartial({ box: 'web', about: { $case: 'commandId', value: 'two words' } });
  expect(await violationsOf(call(api.history, api.history.why, why))).toHaveProperty('command_id');
});

test('explain needs a command, and checks what an exec would be refused for', async () => {
  const explain = (command: ExplainRequest['command']) =>
    violationsOf(call(api.history, api.history.explain, ExplainRequest.create({ box: 'web', command })));
  expect(await explain(undefined)).toEqual({ command: 'must be set' });
  const exec = { command: '', args: ['\uFFFD'], autoStart: undefined };
  expect(Object.keys(await explain({ $case: 'exec', value: exec })).sort()).toEqual([
    'exec.args[0]',
    'exec.command',
  ]);
});
