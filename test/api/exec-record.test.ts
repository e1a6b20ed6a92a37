import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Caller } from '../../src/api/caller.ts';
import { ExecRecord } from '../../src/api/exec-record.ts';
import type { CommandDoor } from '../../src/commands/door.ts';
import { CreateRequest, StartRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { defaultTenant, type ExecId, execStream, noVersion } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { flakyDoor } from '../support/plane.ts';
import { call } from './api-under-test.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

let plane: HandMade;
beforeAll(async () => {
  plane = await handMade();
});
afterAll(() => plane.close());

const away = new BoxledgerError('Unavailable', 'the database is away');
const caller: Caller = {
  tenant: defaultTenant,
  actor: { kind: 'user', id: 'tester' },
  traceparent: undefined,
};
const spec = { command: 'true', args: [], env: {} };

const runningBox = async (name: string) => {
  const created = { ...CreateRequest.decode(new Uint8Array()), name, options: { env: {}, labels: {} } };
  await call(plane.api.boxes, plane.api.boxes.create, created);
  await call(plane.api.boxes, plane.api.boxes.start, { ...StartRequest.decode(new Uint8Array()), box: name });
  await plane.succeed(name, 'vm.boot');
  const found = await plane.deps.boxes.find(defaultTenant, name);
  if (found.kind !== 'found') throw new Error(found.kind);
  return found.box;
};
const recordBy = (door: CommandDoor) =>
  new ExecRecord({ ...plane.deps, door }, randomIds.execId(), caller, randomIds.correlationId());
const typesOf = async (id: ExecId) =>
  (await plane.store.log.readStream(execStream(id), noVersion, 10)).map(({ type }) => type);

test('an exec whose request may have been written, and which nobody runs, gets an end', async () => {
  const box = await runningBox('in-doubt');
  const record = recordBy(flakyDoor(plane.deps.door, 3, 'after', away));
  await expect(record.request(box, spec, caller, {})).rejects.toBe(away);
  await eventually('it has failed', async () => (await typesOf(record.execId)).includes('exec.failed'));
  expect(await typesOf(record.execId)).toEqual(['exec.requested', 'exec.failed']);
});

test('an exec whose request was not written leaves nothing behind', async () => {
  const box = await runningBox('unwritten');
  let submitted = 0;
  const flaky = flakyDoor(plane.deps.door, 1, 'before', away);
  const door: CommandDoor = {
    submit: (command, meta) => flaky.submit(command, meta).finally(() => (submitted += 1)),
  };
  const record = recordBy(door);
  await expect(record.request(box, spec, caller, {})).rejects.toBe(away);
  await eventually('its end was tried', () => submitted === 2);
  expect(await typesOf(record.execId)).toEqual([]);
});
