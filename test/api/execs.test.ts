import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BoxOptions, ExecLog } from '../../src/gen/boxledger/v1/box.ts';
import { CreateRequest, ExecStart, StartRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { type AttachExecResponse, ListExecsRequest } from '../../src/gen/boxledger/v1/exec_service.ts';
import { execId, execStream, noVersion } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { call, richDetails } from './api-under-test.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

/** Every box here is the same real agent. */
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

const running = async (name: string, execLog: Partial<ExecLog> = {}, options: Partial<BoxOptions> = {}) => {
  await call(plane.api.boxes, plane.api.boxes.create, {
    ...CreateRequest.decode(new Uint8Array()),
    name,
    options: { env: {}, labels: {}, execLog: ExecLog.fromPartial(execLog), ...options },
  });
  await call(plane.api.boxes, plane.api.boxes.start, { ...StartRequest.decode(new Uint8Array()), box: name });
  await plane.succeed(name, 'vm.boot');
};
const sh = async (box: string, script: string, given: Partial<ExecStart> = {}): Promise<string> => {
  const start = {
    ...ExecStart.decode(new Uint8Array()),
    ...{ box, command: 'sh', args: ['-c', script], ...given },
  };
  const { execs } = plane.api;
  return (await call(execs, execs.startExec, { start })).execId;
};
const wait = async (id: string) => {
  const { execs } = plane.api;
  return (await call(execs, execs.waitExec, { execId: id })).exec;
};
const signal = (id: string, name: string) =>
  call(plane.api.execs, plane.api.execs.signalExec, { execId: id, signal: name });
const list = (box: string, given: Partial<ListExecsRequest> = {}) =>
  call(plane.api.execs, plane.api.execs.listExecs, {
    ...ListExecsRequest.decode(new Uint8Array()),
    ...{ box, ...given },
  });
const attach = (id: string, offset?: bigint) => {
  const stream = plane.api.execs.attachExec();
  stream.write({ message: { $case: 'attach', value: { execId: id, offset } } });
  return stream;
};
const read = async (stream: AsyncIterable<AttachExecResponse>) => {
  let stdout = '';
  let exit: object | undefined;
  for await (const { message } of stream) {
    if (message?.$case === 'stdout') stdout += message.value;
    if (message?.$case === 'exited') exit = message.value.exit;
  }
  return { stdout, exit };
};
const requestOf = async (id: string) =>
  (await plane.store.log.readStream(execStream(execId(id)), noVersion, 1))[0]?.data;

test('five that wait get the same result', async () => {
  await running('waited-for');
  const id = await sh('waited-for', 'sleep 0.3; exit 11');
  const answers = await Promise.all(Array.from({ length: 5 }, () => wait(id)));
  expect(answers[0]).toMatchObject({
    state: 'exited',
    exited: { exit: { how: { $case: 'code', value: 11 } }, timedOut: false },
  });
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await wait(id)).toEqual(answers[0]); // at once when it has ended
});

test('a detached program is attached to while it runs and after it has ended', async () => {
  await running('detached');
  const id = await sh('detached', 'echo one; sleep 0.2; echo two; exit 3');
  const { execs } = plane.api;
  const known = await call(execs, execs.getExec, { execId: id });
  expect(known.exec).toMatchObject({ execId: id, generation: 1, tty: false });
  const expected = { stdout: 'one\ntwo\n', exit: { how: { $case: 'code', value: 3 } } };
  expect(await read(attach(id))).toMatchObject(expected);
  expect(await read(attach(id))).toMatchObject(expected);
  expect((await read(attach(id, 4n))).stdout).toBe('two\n');
});

test('a half-closed attachment says nothing about the program’s input', async () => {
  await running('half-closed');
  const stream = plane.api.boxes.exec();
  const start = { ...ExecStart.decode(new Uint8Array()), box: 'half-closed', command: 'cat' };
  stream.write({ message: { $case: 'start', value: start } });
  const id = await new Promise<string>((resolve) => {
    stream.once('data', ({ message }) => {
      stream.pause();
      resolve(message.value.execId);
    });
  });
  const mute = attach(id);
  mute.end();
  const loud = attach(id);
  loud.write({ message: { $case: 'stdin', value: Buffer.from('heard') } });
  loud.write({ message: { $case: 'stdinEnd', value: {} } });
  for (const attached of [mute, loud, stream])
    expect(await read(attached)).toMatchObject({ stdout: 'heard', exit: { how: { value: 0 } } });
});

test('a program can be ended by whoever knows its id, and a signal to one that has ended is success', async () => {
  await running('killed');
  const id = await sh('killed', 'sleep 1000');
  await signal(id, 'SIGTERM');
  expect(await wait(id)).toMatchObject({ exited: { exit: { how: { value: 'SIGTERM' } } } });
  await signal(id, 'SIGTERM');
});

test('a box’s execs are listed newest first, page by page, those that have ended when asked for', async () => {
  await running('listed');
  const ended = [await sh('listed', 'exit 1'), await sh('listed', 'exit 2')];
  for (const id of ended) await wait(id);
  const open = await sh('listed', 'sleep 1000');
  expect((await list('listed')).execs.map((exec) => exec.execId)).toEqual([open]);
  const first = await list('listed', { includeEnded: true, pageSize: 2 });
  const rest = await list('listed', { includeEnded: true, pageSize: 2, pageToken: first.nextPageToken });
  expect([...first.execs, ...rest.execs].map((exec) => exec.execId)).toEqual([open, ...ended.reverse()]);
  expect(rest.nextPageToken).toBe('');
  expect(first.execs[1]).toMatchObject({
    state: 'exited',
    program: { command: 'sh', args: ['-c', 'exit 2'] },
  });
  await signal(open, 'SIGKILL');
  await wait(open);
});

test('an exec that is not there is not found, and one that cannot be started is on record as failed', async () => {
  await running('failing');
  const { execs } = plane.api;
  const asking = [wait, (id: string) => signal(id, 'SIGTERM'), (id: string) => read(attach(id))];
  for (const ask of asking)
    await expect(ask(randomIds.execId())).rejects.toMatchObject({ code: status.NOT_FOUND });
  const error = await sh('failing', '', { command: 'no-such-program' }).catch((failure) => failure);
  expect(error.code).toBe(status.NOT_FOUND);
  const id = JSON.parse(richDetails(error).info?.metadata['execId'] ?? '');
  expect(await wait(id)).toMatchObject({ state: 'failed', failure: { code: 'NotFound' } });
  const malformed = call(execs, execs.getExec, { execId: 'ex_1' });
  await expect(malformed).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
});

test('a user that is none is a fault of that field', async () => {
  await running('users');
  const error = await sh('users', 'true', { user: 'a:b:c' }).catch((failure) => failure);
  expect(richDetails(error).violations).toMatchObject([{ field: 'start.user' }]);
});

test('by default the log has the program and its arguments, and nothing of the environment', async () => {
  await running('logged');
  const id = await sh('logged', 'true', { env: { TOKEN: 'secret' }, workingDir: '/' });
  expect(await requestOf(id)).toMatchObject({
    program: { kind: 'full', command: 'sh', args: ['-c', 'true'] },
    env: { kind: 'none' },
    workingDir: '/',
  });
});

test('with execLog full the log has the environment of the exec as well', async () => {
  await running('logged-full', { env: 'full' });
  const id = await sh('logged-full', 'true', { env: { GREETING: 'hello' } });
  expect(await requestOf(id)).toMatchObject({ env: { kind: 'full', values: { GREETING: 'hello' } } });
});

test('with execLog hash the log has what proves what was run, to who knows it, and nothing in clear', async () => {
  await running('hashed', { args: 'hash', env: 'hash' });
  const [one, two] = [
    await sh('hashed', 'echo hush', { env: { TOKEN: 'secret' } }),
    await sh('hashed', 'echo hush', { env: { TOKEN: 'secret' } }),
  ];
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const [first, second] = [await requestOf(one), await requestOf(two)];
  expect(first).toMatchObject({
    program: {
      kind: 'hash',
      sha256: sha256(`{"args":["-c","echo hush"],"command":"sh","execId":"${one}"}`),
    },
    env: { kind: 'hash', sha256: sha256(`{"env":{"TOKEN":"secret"},"execId":"${one}"}`) },
  });
  expect(JSON.stringify([first, second])).not.toMatch(/hush|secret/);
  expect(first).not.toMatchObject({ program: (second as { program: object }).program }); // salted
  expect((await list('hashed', { includeEnded: true })).execs[0]?.program).toBeUndefined();
});

test('with execLog none the log has nothing of either', async () => {
  await running('unlogged', { args: 'none', env: 'none' });
  const id = await sh('unlogged', 'echo hush', { env: { TOKEN: 'secret' } });
  expect(await requestOf(id)).toMatchObject({ program: { kind: 'none' }, env: { kind: 'none' } });
});

test('the box’s variables and directory are defaults, and the box’s id is there', async () => {
  await running('defaults', {}, { env: { A: 'box', B: 'box' }, workingDir: '/usr' });
  const id = await sh('defaults', 'echo $A $B $BOXLEDGER_BOX_ID; pwd', { env: { B: 'exec' } });
  expect((await read(attach(id))).stdout).toMatch(/^box exec bx_\w{16}\n\/usr\n$/);
});

test('once its box does not run, an exec cannot be attached to, and says so', async () => {
  await running('ended');
  const id = await sh('ended', 'true');
  await wait(id);
  const found = await plane.deps.boxes.find(plane.deps.tenant, 'ended');
  if (found.kind !== 'found') throw new Error(found.kind);
  const { boxId, view } = found.box;
  if (view.placement === null) throw new Error('not placed');
  await plane.deps.door.submit(
    {
      type: 'box.reportExit',
      boxId,
      generation: 1,
      placement: view.placement,
      exit: { kind: 'code', code: 1 },
    },
    { tenant: plane.deps.tenant, actor: { kind: 'system', id: 'hand' } },
  );
  await expect(read(attach(id))).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  expect(await wait(id)).toMatchObject({ state: 'exited' });
});
