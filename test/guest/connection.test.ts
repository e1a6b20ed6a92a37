import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectGuest } from '../../src/guest/grpc-guest.ts';
import type { ExecId } from '../../src/kernel/ids.ts';
import { buildAgent, startAgent, startAgentAt, type TestAgent } from '../support/agent-process.ts';
import { begin, isAlive, patience, run, sh } from '../support/guest-exec.ts';

let agent: TestAgent;

beforeAll(buildAgent);
beforeEach(async () => {
  agent = await startAgent();
});
afterEach(() => agent.stop());

test('a ping of a guest that never comes ends as unavailable with the signal’s time', async () => {
  const guest = connectGuest(`unix:${agent.directory}/none.sock`);
  await expect(guest.ping(AbortSignal.timeout(100))).rejects.toMatchObject({
    code: 'Unavailable',
    retry: true,
  });
  const reason = new Error('the box died');
  await expect(guest.ping(AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(guest.thaw(patience())).rejects.toMatchObject({ code: 'Unavailable' });
  await expect(run(guest, sh('true'))).rejects.toMatchObject({ code: 'Unavailable' });
  guest.close();
});

test('a guest that was pinged too early is found once it is there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-early-'));
  const guest = connectGuest(`unix:${directory}/agent.sock`);
  await expect(guest.thaw(patience())).rejects.toMatchObject({ code: 'Unavailable' }); // its channel now waits
  const answer = guest.ping(patience());
  const late = startAgentAt(join(directory, 'agent.sock'), directory);
  expect((await answer).pid).toBe(late.child.pid);
  guest.close();
  late.child.kill('SIGKILL');
  await late.ended;
  await rm(directory, { recursive: true });
});

test('a guest that was started again is found again', async () => {
  agent.child.kill('SIGKILL');
  await agent.ended;
  const again = startAgentAt(agent.socket, agent.home);
  expect((await agent.guest.ping(patience())).pid).toBe(again.child.pid);
  expect(await run(agent.guest, sh('echo back'))).toMatchObject({ stdout: 'back\n' });
  again.child.kill('SIGKILL');
  await again.ended;
});

test('an exec whose guest dies fails as unavailable, for its reader and its writer', async () => {
  const exec = begin(agent.guest, sh('echo $$; exec cat'));
  const outputs = exec[Symbol.asyncIterator]();
  await outputs.next();
  const { pid } = await run(agent.guest, sh('exit'));
  expect(pid).toBeGreaterThan(0);
  agent.child.kill('SIGKILL');
  await expect(async () => {
    for (let next = await outputs.next(); next.done !== true; next = await outputs.next());
  }).rejects.toMatchObject({ code: 'Unavailable' });
  await expect(exec.send({ kind: 'stdin', data: Buffer.from('x') })).rejects.toMatchObject({
    code: 'Unavailable',
  });
});

test('an exec survives the freezing of its box', async () => {
  const outputs = begin(agent.guest, sh('echo before; read line; echo after $line'))[Symbol.asyncIterator]();
  await outputs.next();
  agent.child.kill('SIGSTOP');
  await expect(agent.guest.ping(AbortSignal.timeout(500))).rejects.toMatchObject({ code: 'Unavailable' });
  agent.child.kill('SIGCONT');
  await agent.guest.ping(patience());
  expect((await outputs.next()).value).toMatchObject({ kind: 'stdout' });
  await outputs.return?.();
});

test('programs go on when the host that runs them is killed, and the next host reaches them', async () => {
  const host = fork(join(import.meta.dirname, '../support/exec-host.ts'), [`unix:${agent.socket}`], {
    execArgv: ['--import', 'tsx'],
  });
  const [execIds] = (await once(host, 'message')) as [ExecId[]];
  expect(execIds).toHaveLength(3);
  host.kill('SIGKILL');
  await once(host, 'exit');
  for (const execId of execIds) {
    const { pid, end } = await agent.guest.inspectExec(execId, patience());
    expect({ isAlive: isAlive(pid), end }).toEqual({ isAlive: true, end: undefined });
    await agent.guest.signalExec(execId, 'SIGTERM', patience());
    const { exit } = await agent.guest.waitExec(execId, patience());
    expect(exit).toEqual({ kind: 'signal', signal: 'SIGTERM' });
  }
});
