import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identify } from '../../src/os/process-identity.ts';
import { lockDataDir } from '../../src/store/data-dir-lock.ts';
import { type Child, runSupport } from '../support/child.ts';

let dataDir: string;
const children: Child[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'boxledger-lock-'));
});
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill('SIGKILL')));
  await rm(dataDir, { recursive: true });
});

/** Processes that all try for the lock at the same moment; resolves with what each says. */
const race = async (count: number) => {
  const racers = Array.from({ length: count }, () => runSupport('lock-holder.ts', [dataDir]));
  children.push(...racers);
  await Promise.all(racers.map((racer) => racer.line()));
  for (const racer of racers) racer.send('go');
  const answers = await Promise.all(racers.map((racer) => racer.line()));
  return { racers, answers };
};

test('a data directory is locked once, and free again after release', async () => {
  const lock = await lockDataDir(dataDir);
  await expect(lockDataDir(dataDir)).rejects.toMatchObject({
    code: 'InvalidState',
    message: `${dataDir} is in use by process ${process.pid}`,
    details: { pid: process.pid },
  });
  await lock.release();
  await (await lockDataDir(dataDir)).release();
  expect(await readdir(dataDir)).toEqual([]);
});

test('of several that start at once exactly one gets the lock, and again after each was killed', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { racers, answers } = await race(4);
    const winner = racers[answers.indexOf('taken')];
    expect(answers.filter((answer) => answer === 'taken')).toHaveLength(1);
    for (const answer of answers.filter((other) => other !== 'taken'))
      expect(answer).toBe(`InvalidState: ${dataDir} is in use by process ${winner?.process.pid}`);
    await Promise.all(racers.map((racer) => racer.kill('SIGKILL')));
    expect(await readdir(dataDir)).toEqual(['server.lock']);
  }
});

test.each([
  ['of another boot', async () => ({ ...(await identify(process.pid)), bootId: 'earlier', token: 't' })],
  [
    'of an earlier process with the same pid',
    async () => ({ ...(await identify(process.pid)), startTime: '1', token: 't' }),
  ],
  ['that is damaged', async () => 'half a li'],
  ['that is empty', async () => ''],
])('a lock %s is taken over', async (_what, holder) => {
  const content = await holder();
  await writeFile(
    join(dataDir, 'server.lock'),
    typeof content === 'string' ? content : JSON.stringify(content),
  );
  const lock = await lockDataDir(dataDir);
  expect(JSON.parse(await readFile(join(dataDir, 'server.lock'), 'utf8'))).toMatchObject({
    pid: process.pid,
  });
  await lock.release();
  expect(await readdir(dataDir)).toEqual([]);
});

test('an heir that was killed before it took over is inherited from in its turn', async () => {
  const dead = { pid: 1, startTime: 'never', bootId: 'earlier' };
  await writeFile(join(dataDir, 'server.lock'), JSON.stringify({ ...dead, token: 'first' }));
  await writeFile(join(dataDir, 'server.lock.first'), JSON.stringify({ ...dead, token: 'second' }));
  const lock = await lockDataDir(dataDir);
  expect(await readdir(dataDir)).toEqual(['server.lock']);
  await lock.release();
});
