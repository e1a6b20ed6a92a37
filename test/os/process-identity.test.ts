import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { assert, expect, onTestFinished, test } from 'vitest';
import { identify, isAlive, parseStat, sameProcess, signalProcess } from '../../src/os/process-identity.ts';

const startSleeper = async () => {
  const child = spawn('sleep', ['1000']);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'spawn');
  const identity = await identify(child.pid ?? 0);
  assert(identity !== undefined, 'the sleeper runs');
  return { child, identity };
};

test('a stat line is read whatever the command calls itself', () => {
  const fields = 'S 7 8 9 0 -1 4194560 1 2 3 4 50 60 0 0 20 0 1 0 777 1000';
  expect(parseStat(`42 (a) R 1 (b c)) ${fields}`)).toEqual({
    pid: 42,
    state: 'S',
    parentPid: 7,
    sessionId: 9,
    cpuTicks: 110,
    startTime: '777',
  });
  expect(parseStat('')).toBeUndefined();
});

test('a process is alive under its own start time and boot only', async () => {
  const { identity } = await startSleeper();
  expect(await isAlive(identity)).toBe(true);
  expect(await isAlive({ ...identity, startTime: String(Number(identity.startTime) - 1) })).toBe(false);
  expect(await isAlive({ ...identity, bootId: 'another' })).toBe(false);
  expect(sameProcess(identity, { ...identity })).toBe(true);
});

test('a pid that was used again gets no signal', async () => {
  const { child, identity } = await startSleeper();
  const earlier = { ...identity, startTime: String(Number(identity.startTime) - 1) };
  expect(await signalProcess(earlier, 'SIGKILL')).toBe(false);
  expect(await isAlive(identity)).toBe(true);
  const exit = once(child, 'exit');
  expect(await signalProcess(identity, 'SIGKILL')).toBe(true);
  await exit;
  expect(await signalProcess(identity, 'SIGKILL')).toBe(false);
});

test('a process that is dead but not yet reaped is not alive', async () => {
  // The shell never waits for its child, and says who it was.
  const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void shell.kill('SIGKILL'));
  const [said] = await once(shell.stdout, 'data');
  const { untilValue } = await import('../support/eventually.ts');
  expect(
    await untilValue(
      () => identify(Number(String(said))),
      (found) => found === undefined,
    ),
  ).toBeUndefined();
});

test('no process, no identity', async () => {
  expect(await identify(2 ** 22 + 1)).toBeUndefined();
});
