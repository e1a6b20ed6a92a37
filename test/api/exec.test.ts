import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClientDuplexStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { create as pack } from 'tar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  CreateRequest,
  type ExecRequest,
  type ExecResponse,
  ExecStart,
  StartRequest,
} from '../../src/gen/boxledger/v1/box_service.ts';
import { boxStream, execId, execStream, noVersion } from '../../src/kernel/ids.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { call, richDetails } from './api-under-test.ts';
import { type HandMade, handMade, idOf } from './hand-made-host.ts';

/** Every box here is the same real agent: what is shown is the way of the streams and of the events. */
let agent: TestAgent;
let plane: HandMade;
beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
  plane = await handMade(agent.guest);
});
afterAll(async () => {
  await plane.close();
  await agent.stop();
});

const create = (name: string, options: Partial<CreateRequest['options']> = {}) =>
  call(plane.api.boxes, plane.api.boxes.create, {
    ...CreateRequest.decode(new Uint8Array()),
    name,
    options: { env: {}, labels: {}, ...options },
  });
const running = async (name: string, options: Partial<CreateRequest['options']> = {}) => {
  await create(name, options);
  await call(plane.api.boxes, plane.api.boxes.start, { ...StartRequest.decode(new Uint8Array()), box: name });
  await plane.succeed(name, 'vm.boot');
};

type Stream = ClientDuplexStream<ExecRequest, ExecResponse>;
const say = (stream: Stream, message: ExecRequest['message']) => stream.write({ message });
const open = (
  box: string,
  command: string,
  args: string[],
  given: Partial<ExecStart> = {},
  deadlineMs = 60_000,
) => {
  const stream = plane.api.boxes.exec(new Metadata(), { deadline: Date.now() + deadlineMs });
  const start = { ...ExecStart.decode(new Uint8Array()), box, command, args, ...given };
  say(stream, { $case: 'start', value: start });
  return stream;
};
/** Reads to the end; the client's side is closed when nothing is to be said any more. */
const result = async (stream: AsyncIterable<ExecResponse>) => {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let id = '';
  let exit: object | undefined;
  for await (const { message } of stream) {
    if (message?.$case === 'started') id = message.value.execId;
    if (message?.$case === 'stdout') out.push(message.value);
    if (message?.$case === 'stderr') err.push(message.value);
    if (message?.$case === 'exited') exit = message.value;
  }
  return { stdout: Buffer.concat(out), stderr: Buffer.concat(err), exit, execId: id };
};
const eventsOf = async (id: string) =>
  (await plane.store.log.readStream(execStream(execId(id)), noVersion, 100)) ?? [];
const failure = async (stream: Stream): Promise<ServiceError> =>
  result(stream).then(
    () => Promise.reject(new Error('the exec succeeded')),
    (error) => error,
  );
const ended = (id: string) =>
  eventually(`exec ${id} has ended`, async () => {
    const last = (await eventsOf(id)).at(-1);
    return last !== undefined && !['exec.requested', 'exec.started'].includes(last.type) && last;
  });

test('a program gets its input, and its output, exit code and byte counts come back', async () => {
  await running('echo', { env: { GREETING: 'hello' } });
  const script = 'printf "$GREETING $BOXLEDGER_BOX_ID "; cat; echo bad >&2; exit 7';
  const stream = open('echo', 'sh', ['-c', script]);
  say(stream, { $case: 'stdin', value: Buffer.from('world') });
  say(stream, { $case: 'stdinEnd', value: {} });
  const { stdout, stderr, exit, execId: id } = await result(stream);
  expect(stdout.toString()).toMatch(/^hello bx_\w{16} world$/);
  expect(stderr.toString()).toBe('bad\n');
  expect(exit).toMatchObject({ exit: { how: { $case: 'code', value: 7 } }, timedOut: false });
  const events = await eventsOf(id);
  expect(events.map(({ type }) => type)).toEqual(['exec.requested', 'exec.started', 'exec.exited']);
  expect(events[2]?.data).toMatchObject({ stdoutBytes: stdout.length, stderrBytes: 4 });
  expect(new Set(events.map(({ correlationId }) => correlationId)).size).toBe(1);
});

test('megabytes go through in both directions unharmed', async () => {
  await running('pipe');
  const bytes = randomBytes(3 * 1024 * 1024);
  const stream = open('pipe', 'cat', []);
  const answer = result(stream);
  for (let at = 0; at < bytes.length; at += 65_536)
    if (!say(stream, { $case: 'stdin', value: bytes.subarray(at, at + 65_536) })) await once(stream, 'drain');
  stream.end();
  expect((await answer).stdout.equals(bytes)).toBe(true);
});

test('a caller that does not read holds the program back', async () => {
  await running('flood');
  const stream = open('flood', 'sh', ['-c', 'while head -c 65536 /dev/zero; do echo . >>written; done']);
  await once(stream, 'data');
  stream.pause();
  let last = -1;
  const chunks = await eventually('the program stands still', async () => {
    const { size } = await stat(`${agent.home}/written`).catch(() => ({ size: 0 }));
    if (size > 0 && size === last) return size / 2;
    last = size;
    await delay(500);
    return undefined;
  });
  expect(chunks * 64).toBeLessThan(16 * 1024);
  stream.on('error', () => undefined); // the cancellation, which is our own
  stream.cancel();
});

test('a caller that goes away leaves the program running, with its input open', async () => {
  await running('left');
  const stream = open('left', 'sh', ['-c', 'cat; echo end of input']);
  const [{ message }] = await once(stream, 'data');
  const { execId: id, pid } = message.value;
  stream.on('error', () => undefined); // the cancellation, which is our own
  stream.cancel();
  await result(open('left', 'true', [])); // whatever the cancellation leads to is under way
  expect(existsSync(`/proc/${pid}/exe`)).toBe(true);
  const again = plane.api.execs.attachExec();
  again.write({ message: { $case: 'attach', value: { execId: id, offset: undefined } } });
  again.write({ message: { $case: 'stdin', value: Buffer.from('still open\n') } });
  again.write({ message: { $case: 'stdinEnd', value: {} } });
  expect((await result(again)).stdout.toString()).toBe('still open\nend of input\n');
  expect(await ended(id)).toMatchObject({ type: 'exec.exited', data: { exit: { code: 0 } } });
});

test('signals reach the program', async () => {
  await running('signalled');
  const stream = open('signalled', 'sleep', ['1000']);
  stream.once('data', () => say(stream, { $case: 'signal', value: 'SIGTERM' }));
  const { exit } = await result(stream);
  expect(exit).toMatchObject({ exit: { how: { $case: 'signal', value: 'SIGTERM' } } });
});

test('a program that is not there is not found, and the log says that it failed', async () => {
  await running('empty');
  const error = await failure(open('empty', 'no-such-program', []));
  expect(error.code).toBe(status.NOT_FOUND);
  const id = JSON.parse(richDetails(error).info?.metadata['execId'] ?? '');
  expect((await eventsOf(id)).map(({ type }) => type)).toEqual(['exec.requested', 'exec.failed']);
});

test('an exec starts the box that it needs, and the log names it as the cause', async () => {
  const { box } = await create('sleeping');
  const stream = open('sleeping', 'true', []);
  const answer = result(stream);
  await plane.succeed('sleeping', 'vm.boot');
  const { execId: id, exit } = await answer;
  expect(exit).toMatchObject({ exit: { how: { $case: 'code', value: 0 } } });
  const [, request] = await plane.store.log.readStream(boxStream(idOf(box)), noVersion, 2);
  expect(request).toMatchObject({ reason: 'exec', causationId: id });
});

test('an exec waits for a box that is starting', async () => {
  await create('coming');
  await call(plane.api.boxes, plane.api.boxes.start, {
    ...StartRequest.decode(new Uint8Array()),
    box: 'coming',
  });
  const answer = result(open('coming', 'true', []));
  await plane.succeed('coming', 'vm.boot');
  expect((await answer).exit).toBeDefined();
});

test('without autoStart an exec is refused where the box does not run, by the call or by the box', async () => {
  await create('by-call');
  await create('by-box', { autoStart: false });
  const byCall = await failure(open('by-call', 'true', [], { autoStart: false }));
  const byBox = await failure(open('by-box', 'true', []));
  expect([byCall.code, byBox.code]).toEqual([status.FAILED_PRECONDITION, status.FAILED_PRECONDITION]);
});

test('an exec whose box does not start in time says so at its deadline', async () => {
  await create('slow');
  const error = await failure(open('slow', 'true', [], {}, 3000));
  expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  expect(richDetails(error).info?.metadata).toMatchObject({ state: '"starting"' });
});

test('the same exec asked for again is not run again', async () => {
  await running('once');
  const mutation = { commandId: 'exec-once' };
  const { execId: id } = await result(open('once', 'true', [], { mutation }));
  const error = await failure(open('once', 'true', [], { mutation }));
  expect(error.code).toBe(status.ALREADY_EXISTS);
  expect(richDetails(error).info?.metadata['streamId']).toBe(JSON.stringify(`exec/${id}`));
});

test('requests in the wrong order or of no sense end the exec with what is wrong', async () => {
  await running('misused');
  const unstarted = plane.api.boxes.exec();
  say(unstarted, { $case: 'stdin', value: Buffer.from('x') });
  expect(richDetails(await failure(unstarted)).violations).toMatchObject([{ field: 'start' }]);
  const twice = open('misused', 'sleep', ['1000']);
  say(twice, {
    $case: 'start',
    value: { ...ExecStart.decode(new Uint8Array()), box: 'misused', command: 'x' },
  });
  const error = await failure(twice);
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  expect(richDetails(error).violations).toMatchObject([{ field: 'start' }]);
  const id = JSON.parse(richDetails(error).info?.metadata['execId'] ?? '');
  await call(plane.api.execs, plane.api.execs.signalExec, { execId: id, signal: 'SIGKILL' });
  expect(await ended(id)).toMatchObject({ type: 'exec.exited', data: { exit: { signal: 'SIGKILL' } } });
});

test('a tree of files goes in and comes out as a tar stream', async () => {
  await running('copied');
  const directory = await mkdtemp(`${agent.directory}/source-`);
  await writeFile(`${directory}/file`, 'content');
  const copy = new Promise((resolve, reject) => {
    const stream = plane.api.boxes.copyIn((error, answer) =>
      error === null ? resolve(answer) : reject(error),
    );
    stream.write({
      message: {
        $case: 'header',
        value: {
          mutation: undefined,
          box: 'copied',
          path: 'in',
          overwrite: false,
          renameRoot: false,
          keepOwners: false,
        },
      },
    });
    pack({ cwd: directory }, ['file'])
      .on('data', (tar: Buffer) => stream.write({ message: { $case: 'tar', value: tar } }))
      .on('end', () => stream.end());
  });
  expect(await copy).toMatchObject({ entries: 1n });
  const out: Buffer[] = [];
  const download = plane.api.boxes.copyOut({
    box: 'copied',
    path: 'in',
    followSymlinks: false,
    followSource: false,
    includeParent: false,
  });
  for await (const { tar } of download) out.push(tar);
  expect(Buffer.concat(out).includes('content')).toBe(true);
  const missing = plane.api.boxes.copyOut({
    box: 'copied',
    path: 'nowhere',
    followSymlinks: false,
    followSource: false,
    includeParent: true,
  });
  await expect(missing.toArray()).rejects.toMatchObject({ code: status.NOT_FOUND });
  await rm(directory, { recursive: true });
});
