import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { agentVersion } from '../../src/agent/version.ts';
import { GuestServiceClient, type ShutdownResponse } from '../../src/gen/guest/v1/guest.ts';
import { connectGuest } from '../../src/guest/grpc-guest.ts';
import { agentBundle, buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { begin, isAlive, patience, run, sh } from '../support/guest-exec.ts';

let agent: TestAgent;

beforeAll(buildAgent);
beforeEach(async () => {
  agent = await startAgent();
});
afterEach(() => agent.stop());

/** Starts the agent again at the same place; the test sees how it ends. */
const another = async (socket = agent.socket) => {
  const child = spawn(process.execPath, [agentBundle, '--socket', socket], {
    env: { PATH: process.env['PATH'], HOME: agent.home },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, exit: once(child, 'close').then(([code]) => ({ code, stderr })) };
};

describe('the socket', () => {
  test('can be opened by its user alone', async () => {
    expect((await stat(agent.socket)).mode & 0o777).toBe(0o600);
  });

  test('left by an agent that was killed is replaced', async () => {
    agent.child.kill('SIGKILL');
    await agent.ended;
    expect((await stat(agent.socket)).isSocket()).toBe(true);
    const next = await another();
    const guest = connectGuest(`unix:${agent.socket}`);
    expect((await guest.ping(patience())).pid).toBe(next.child.pid);
    guest.close();
    next.child.kill('SIGTERM');
    expect(await next.exit).toEqual({ code: 0, stderr: '' });
  });

  test('is not taken from an agent that answers, nor a file that is no socket', async () => {
    expect(await (await another()).exit).toEqual({
      code: 1,
      stderr: expect.stringContaining('another agent answers'),
    });
    const file = join(agent.directory, 'file');
    await writeFile(file, 'precious');
    expect(await (await another(file)).exit).toMatchObject({ code: 1 });
    expect(await readFile(file, 'utf8')).toBe('precious');
    await agent.guest.ping(patience());
  });
});

test('a ping tells the version of the package, the pid and the host name', async () => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8'));
  expect(agentVersion).toBe(version);
  expect(await agent.guest.ping(patience())).toEqual({
    agentVersion: version,
    pid: agent.child.pid,
    hostname: expect.stringMatching(/./),
  });
});

describe('the end of everything', () => {
  /** A program that ignores SIGTERM, one that does not, and one that was left behind by its parent. */
  const populate = async () => {
    const left = await run(agent.guest, sh('sleep 1000 & echo $!'));
    const pids = [Number(left.stdout)];
    const execs = [
      sh('trap "" TERM; echo ready; while :; do sleep 0.1; done'),
      sh('echo ready; exec sleep 1000'),
    ];
    for (const spec of execs) {
      const outputs = begin(agent.guest, spec)[Symbol.asyncIterator]();
      const started = await outputs.next();
      await outputs.next(); // ready: the trap is set
      pids.push(started.value.pid);
    }
    return pids;
  };

  const expectGone = async (pids: readonly number[]) => {
    for (const pid of pids) await eventually(`${pid} is gone`, () => !isAlive(pid));
  };

  test('comes with Shutdown: SIGTERM, SIGKILL after the grace, and the agent exits with 0', async () => {
    const pids = await populate();
    const client = new GuestServiceClient(`unix:${agent.socket}`, credentials.createInsecure());
    const answer = await new Promise<ShutdownResponse>((resolve, reject) =>
      client.shutdown({ graceMs: 300 }, (error, response) =>
        error === null ? resolve(response) : reject(error),
      ),
    );
    client.close();
    expect(answer.killed).toBe(1);
    expect(await agent.ended).toBe(0);
    await expectGone(pids);
  });

  test('comes through the guest port', async () => {
    await run(agent.guest, sh('true'));
    await agent.guest.shutdown(patience());
    expect(await agent.ended).toBe(0);
    await expect(agent.guest.thaw(patience())).rejects.toMatchObject({ code: 'Unavailable' });
  });

  test('comes with SIGTERM', async () => {
    const pids = await populate();
    agent.child.kill('SIGTERM');
    expect(await agent.ended).toBe(0);
    await expectGone(pids);
  });

  test('lets nothing new begin, and is waited for by every caller', async () => {
    const outputs = begin(
      agent.guest,
      sh('trap "echo ending; sleep 1; exit" TERM; echo ready; while :; do sleep 0.05; done'),
    )[Symbol.asyncIterator]();
    await outputs.next();
    await outputs.next();
    const ends = [agent.guest.shutdown(patience()), agent.guest.shutdown(patience())];
    await outputs.next(); // ending: the shutdown is under way
    await expect(run(agent.guest, sh('true'))).rejects.toMatchObject({ code: 'Unavailable' });
    await Promise.all(ends);
    expect(await agent.ended).toBe(0);
  });
});

test('a guest on its host’s file system flushes, freezes nothing and says so, as often as it is asked', async () => {
  for (let times = 0; times < 2; times += 1) {
    const { frozen, detail } = await agent.guest.quiesce(patience());
    expect({ frozen, detail }).toEqual({
      frozen: false,
      detail: expect.stringContaining('belongs to the host'),
    });
    await agent.guest.thaw(patience());
    await agent.guest.thaw(patience());
  }
});
