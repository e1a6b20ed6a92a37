import { status } from '@grpc/grpc-js';
import { expect, onTestFinished, test } from 'vitest';
import { CreateRequest, ExecStart, StartRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { execId, execStream, noVersion } from '../../src/kernel/ids.ts';
import { eventually } from '../support/eventually.ts';
import { scriptedGuest, unavailable } from '../support/scripted-guest.ts';
import { call, failureOf, richDetails } from './api-under-test.ts';
import { handMade } from './hand-made-host.ts';

const end = {
  exit: { kind: 'code', code: 4 },
  timedOut: false,
  durationMs: 1,
  stdoutBytes: 2,
  stderrBytes: 3,
} as const;

/** An exec of which the caller hears no more than that its guest was not to be reached; what the log then says of it. */
const unheardStart = async (inspectExec: ReturnType<typeof scriptedGuest>['inspectExec']) => {
  const guest = scriptedGuest({
    startExec: async () => {
      throw unavailable();
    },
    inspectExec,
    waitExec: async () => end,
  });
  const plane = await handMade(guest);
  onTestFinished(() => plane.close());
  const { boxes, execs } = plane.api;
  const box = 'unheard';
  const options = { env: {}, labels: {} };
  await call(boxes, boxes.create, { ...CreateRequest.decode(new Uint8Array()), name: box, options });
  await call(boxes, boxes.start, { ...StartRequest.decode(new Uint8Array()), box });
  await plane.succeed(box, 'vm.boot');
  const start = { ...ExecStart.decode(new Uint8Array()), box, command: 'work' };
  const failure = await failureOf(call(execs, execs.startExec, { start }));
  expect(failure.code).toBe(status.UNAVAILABLE);
  const id = execId(JSON.parse(richDetails(failure).info?.metadata['execId'] ?? ''));
  return eventually('it has an end', async () => {
    const events = await plane.store.log.readStream(execStream(id), noVersion, 10);
    const types = events.map(({ type }) => type);
    return /exited|failed|lost/.test(types.join()) && types;
  });
};

test('a program that runs though nobody heard of its start has its end in the log, and has not failed', async () => {
  let silentFor = 3;
  const types = await unheardStart(async () => {
    silentFor -= 1;
    if (silentFor > 0) throw unavailable();
    return { pid: 7, end: undefined };
  });
  expect(types).toEqual(['exec.requested', 'exec.started', 'exec.exited']);
});

test('a program whose agent has never heard of it has failed', async () => {
  const unknown = new BoxledgerError('NotFound', 'not known in this box');
  expect(await unheardStart(() => Promise.reject(unknown))).toEqual(['exec.requested', 'exec.failed']);
});
