import { expect, test } from 'vitest';
import type { WatchRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import type { ReadAllRequest, ReadStreamRequest } from '../../src/gen/boxledger/v1/event_service.ts';
import { aBox, anEvent } from '../sdk/scripted-server.ts';
import { jsonLines } from './in-process.ts';
import { served } from './served.ts';

test('the events of a box are its stream, a line each: when, where, what, who and why', async () => {
  const asked: ReadStreamRequest[] = [];
  const { run } = await served({
    get: (_, answer) => answer(null, { box: aBox() }),
    readStream: (call) => {
      asked.push(call.request);
      call.write({ event: anEvent() });
      call.write({
        event: anEvent({ version: 2n, type: 'box.stopRequested', reason: 'bell\u0007', dataJson: '{}' }),
      });
      call.end();
    },
  });
  const { code, stdout } = await run('events', 'web');
  expect(code).toBe(0);
  expect(stdout).toBe(
    '2026-11-25T12:00:00.000Z  box/bx_0123456789abcdef@1  box.created  by user:ann  {"name":"web"}\n' +
      '2026-11-25T12:00:00.000Z  box/bx_0123456789abcdef@2  box.stopRequested  by user:ann  because "bell\\u0007"\n',
  );
  expect(asked[0]?.streamId).toBe('box/bx_0123456789abcdef');
  expect((await run('events', 'web', '--type', 'box.stopRequested')).stdout.split('\n')).toHaveLength(2);
});

test('a removed box’s history is read by its whole id, without a look-up', async () => {
  const { run } = await served({
    readStream: (call) => {
      call.write({ event: anEvent() });
      call.end();
    },
  });
  expect((await run('events', 'bx_0123456789abcdef')).code).toBe(0);
});

test('as JSON an event has its data as an object, and where to go on', async () => {
  const { run } = await served({
    readAll: (call) => {
      call.write({ event: anEvent() });
      call.end();
    },
  });
  expect(jsonLines((await run('events', '--json')).stdout)).toEqual([
    {
      streamId: 'box/bx_0123456789abcdef',
      version: 1,
      position: 7,
      type: 'box.created',
      schemaVersion: 1,
      data: { name: 'web' },
      tenant: 'default',
      actor: { kind: 'user', id: 'ann' },
      reason: null,
      commandId: 'cmd-1',
      correlationId: 'cor-1',
      causationId: null,
      traceparent: null,
      occurredAt: '2026-11-25T12:00:00.000Z',
      hash: 'ab'.repeat(32),
      cursor: 'c1',
    },
  ]);
});

test('a box is followed from a cursor until Ctrl-C', async () => {
  const asked: WatchRequest[] = [];
  const { start } = await served({
    get: (_, answer) => answer(null, { box: aBox() }),
    watch: (call) => {
      asked.push(call.request);
      call.write({ message: { $case: 'caughtUp', value: { cursor: 'c0' } } });
      call.write({ message: { $case: 'event', value: anEvent({ type: 'box.started' }) } });
    },
  });
  const command = start(['events', 'web', '-f', '--since', 'c0', '--type', 'box.started']);
  await command.shown('box.started');
  command.signal('SIGINT');
  expect(await command.done).toMatchObject({ code: 130, stderr: '' });
  expect(asked).toMatchObject([{ box: 'bx_0123456789abcdef', cursor: 'c0', types: ['box.started'] }]);
});

test('another stream is found in the log when it is followed', async () => {
  const asked: ReadAllRequest[] = [];
  const stream = 'exec/ex_0123456789abcdef';
  const { start, run } = await served({
    readAll: (call) => {
      asked.push(call.request);
      call.write({ event: anEvent({ streamId: 'exec/ex_fedcba9876543210', type: 'exec.exited' }) });
      call.write({ event: anEvent({ streamId: stream, type: 'exec.started' }) });
    },
  });
  const command = start(['events', '--stream', stream, '--follow']);
  await command.shown('exec.started');
  command.signal('SIGTERM');
  const { code, stdout } = await command.done;
  expect(code).toBe(143);
  expect(stdout).not.toContain('exec.exited');
  expect(asked).toMatchObject([{ categories: ['exec'], follow: true }]);
  expect((await run('events', '--stream', 'nonsense', 'web')).stderr).toMatch(/2 faults.*--stream/s);
});

test('when nobody reads the output any more the command ends without a word', async () => {
  const { start } = await served({
    readAll: (call) => {
      const more = () => {
        while (!call.cancelled) if (!call.write({ event: anEvent() })) return void call.once('drain', more);
      };
      more();
    },
  });
  const command = start(['events', '--follow'], { unread: true });
  command.stdout.once('data', () =>
    command.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  );
  expect(await command.done).toEqual({ code: 141, stdout: '', stderr: '' });
});
