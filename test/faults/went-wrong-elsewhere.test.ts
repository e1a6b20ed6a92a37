import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, onTestFinished, test } from 'vitest';
import {
  boxId as parseBoxId,
  effectId as parseEffectId,
  hostId as parseHostId,
} from '../../src/kernel/ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { openStore } from '../../src/store/store.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { agentOf } from '../support/box-processes.ts';
import { codeOf, eventsOf, insistently, outputOf, runInBackground, typesOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

/**
 * What went wrong in systems of this kind, by the numbers that docs/box-lifecycle.md gives them. Where the tests of each are:
 * test/tidy/went-wrong.test.ts.
 */

let database: TestDatabase;
let dataDir: DataDir;
let server: TestServer;
let client: Client;
const serve = async (crashAt?: string) => {
  const options = { dataDir: dataDir.path, databaseUrl: database.url };
  server = await startServer(crashAt === undefined ? options : { ...options, crashAt });
  client = connect({ address: server.address, retries: 0 });
};
/** Ends the server by SIGKILL, does something while there is none, and starts another. */
const serveAnew = async (meanwhile: () => Promise<void> = async () => undefined) => {
  client.close();
  await server.kill();
  await meanwhile();
  await serve();
};
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
  await serve();
});
beforeEach(() => {
  onTestFailed(() => console.info(server.log().slice(-20_000)));
});
afterAll(async () => {
  for await (const box of client.list()) await client.remove(box.boxId, { force: true });
  expect(await readdir(join(dataDir.path, 'boxes'))).toEqual([]);
  expect(await readdir(join(dataDir.path, 'run'))).toEqual(['scripts']);
  client.close();
  expect(await server.stop()).toBe(0);
  await expectReplayEqualsHeads(database.url);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await dataDir.remove();
  await database.drop();
});

const started = ['box.created', 'box.startRequested', 'box.started'];
const startedBox = async (name: string) => {
  const { boxId } = (await client.create({ name })).box;
  await client.start(boxId);
  return boxId;
};
const leavings = (boxId: string) => leavingsOf(dataDir.path, parseBoxId(boxId));
const onDisk = (boxId: string, file: string) => join(dataDir.path, 'boxes', boxId, 'disk', file);
const shell = (boxId: string, script: string) => outputOf(client, boxId, 'sh', ['-c', script]);
const startTicking = (boxId: string) =>
  runInBackground(client, boxId, 'while :; do printf . >> ~/ticks; sleep 0.02; done');
const ticks = async (boxId: string) => (await stat(onDisk(boxId, 'ticks'))).size;
const dataOf = async (boxId: string, type: string) => {
  const event = (await eventsOf(client, boxId)).findLast((candidate) => candidate.type === type);
  return JSON.parse(event?.dataJson ?? 'null');
};
/** As a fault that makes every boot fail: the program that runs in each box is not there. */
const withoutAgent = async (work: () => Promise<void>) => {
  const scripts = join(dataDir.path, 'run/scripts');
  const agent = (await readdir(scripts)).find((name) => name.startsWith('agent-')) ?? '';
  await rename(join(scripts, agent), join(scripts, 'away'));
  try {
    await work();
  } finally {
    await rename(join(scripts, 'away'), join(scripts, agent));
  }
};

test('1: the stop of a paused box takes all of it down, and nothing comes back to life', async () => {
  const boxId = await startedBox('one');
  await startTicking(boxId);
  await client.pause(boxId);
  await client.stop(boxId);
  expect(await typesOf(client, boxId)).toEqual([
    ...started,
    ...['box.pauseRequested', 'box.paused', 'box.stopRequested', 'box.stopped'],
  ]);
  expect(await leavings(boxId)).toEqual([]);
  await serveAnew();
  expect((await client.get(boxId)).state).toBe('stopped');
  expect(await leavings(boxId)).toEqual([]);
});

test('2: a freeze whose holder was killed is either recorded as a pause, or undone', async () => {
  const boxId = await startedBox('two');
  await startTicking(boxId);
  client.close();
  await server.stop();
  await serve('effect.after:vm.pause');
  expect(await codeOf(client.pause(boxId, { commandId: 'pause-two' }))).toBe('Unavailable');
  expect(await server.ended).toBe('SIGKILL');
  client.close();
  await serve();
  await insistently(() => client.pause(boxId, { commandId: 'pause-two' }));
  expect((await client.get(boxId)).state).toBe('paused');
  // The first attempt had frozen it already: that must not keep the guest from being asked to flush.
  expect(JSON.stringify(await dataOf(boxId, 'box.paused'))).not.toContain('DeadlineExceeded');
  const before = await ticks(boxId);

  // As when somebody let it run behind our back, and the reverse.
  client.close();
  await server.stop();
  await serve('claim.after:vm.resume');
  expect(await ticks(boxId)).toBe(before);
  expect(await codeOf(client.resume(boxId, { commandId: 'resume-two' }))).toBe('Unavailable');
  expect(await server.ended).toBe('SIGKILL');
  client.close();
  await serve();
  await insistently(() => client.resume(boxId, { commandId: 'resume-two' }));
  expect((await client.get(boxId)).state).toBe('running');
  await eventually('the box runs on', async () => (await ticks(boxId)) > before);
  expect(await outputOf(client, boxId, 'echo', ['thawed'])).toBe('thawed\n');
});

test('3: a pid that was used again is not signalled (see also process-identity.test.ts)', async () => {
  const boxId = await startedBox('three');
  const decoy = spawn('sleep', ['1000'], { stdio: 'ignore' });
  onTestFinished(() => void decoy.kill('SIGKILL'));
  await once(decoy, 'spawn');
  await serveAnew(async () => {
    process.kill(await agentOf(boxId), 'SIGKILL');
    await eventually('the box is down', async () =>
      (await leavings(boxId)).every((it) => !it.startsWith('process')),
    );
    // What its processes were written down as now has the pid of another, as when pids have come round.
    const run = join(dataDir.path, 'run', boxId);
    const { nonce } = JSON.parse(await readFile(join(run, 'boot.json'), 'utf8'));
    for (const who of ['shim', 'main']) {
      const [, startTime] = (await readFile(join(run, nonce, who), 'utf8')).trim().split(' ');
      await writeFile(join(run, nonce, who), `${decoy.pid} ${startTime}\n`);
    }
  });
  await client.wait(boxId, ['stopped']);
  await client.remove(boxId, { force: true });
  expect(decoy.exitCode ?? decoy.signalCode).toBeNull();
  process.kill(decoy.pid ?? 0, 0);
});

test('4: a boot that failed, and its repetition, keep what is on the disk', async () => {
  const boxId = await startedBox('four');
  await shell(boxId, 'echo precious > ~/kept');
  await client.stop(boxId);
  await withoutAgent(async () => {
    expect(await codeOf(client.start(boxId))).not.toBe('ok');
  });
  expect((await client.get(boxId)).state).toBe('failed');
  expect(await leavings(boxId)).toEqual([]);
  expect(await readFile(onDisk(boxId, 'kept'), 'utf8')).toBe('precious\n');
  await client.start(boxId);
  expect(await shell(boxId, 'cat ~/kept')).toBe('precious\n');
});

test('5: a failure stays what the box is, for whoever asks and whatever comes after', async () => {
  const { boxId } = (await client.create({ name: 'five' })).box;
  await withoutAgent(async () => {
    expect(await codeOf(client.start(boxId))).not.toBe('ok');
  });
  const failed = await client.get(boxId);
  expect(failed.state).toBe('failed');
  expect(failed.failure?.message).toBeTruthy();
  expect((await client.stop(boxId)).state).toBe('failed');
  expect(await codeOf(client.pause(boxId))).toBe('InvalidState');
  await serveAnew();
  expect(await client.get(boxId)).toEqual(failed);
  expect(await typesOf(client, boxId)).toEqual(['box.created', 'box.startRequested', 'box.startFailed']);
  expect((await client.start(boxId)).generation).toBe(2);
});

test('6: whenever a start is answered, the box can run programs', async () => {
  const boxes = await Promise.all(
    ['six-1', 'six-2', 'six-3', 'six-4'].map(async (name) => (await client.create({ name })).box.boxId),
  );
  const round = async (boxId: string, n: number) => {
    await client.start(boxId);
    expect(await outputOf(client, boxId, 'echo', [`start ${n}`])).toBe(`start ${n}\n`);
    await client.stop(boxId);
  };
  await Promise.all(
    boxes.map(async (boxId) => {
      for (let n = 1; n <= 5; n += 1) await round(boxId, n);
      await client.remove(boxId);
    }),
  );
});

test('7: a box whose guest cannot be reached is stopped all the same, and the log says what failed', async () => {
  const boxId = await startedBox('seven');
  await startTicking(boxId);
  await serveAnew(() => rm(join(dataDir.path, 'run', boxId, 'agent.sock')));
  await client.stop(boxId);
  const { failures } = await dataOf(boxId, 'box.stopped');
  expect(failures[0].message).toContain('graceful');
  expect(await leavings(boxId)).toEqual([]);
});

test('8: the stop of a box that never ran changes nothing', async () => {
  const { boxId } = (await client.create({ name: 'eight' })).box;
  expect((await client.stop(boxId)).state).toBe('configured');
  expect(await typesOf(client, boxId)).toEqual(['box.created']);
  await client.start(boxId);
});

test('9: a shutdown that nobody heeds in time ends in a kill', async () => {
  const boxId = await startedBox('nine');
  const deaf = client.exec(boxId, 'sh', {
    args: ['-c', 'trap "" TERM; echo deaf; while :; do sleep 0.05; done'],
  });
  const output = deaf[Symbol.asyncIterator]();
  while ((await output.next()).value?.kind !== 'stdout');
  process.kill(await agentOf(boxId), 'SIGSTOP');
  await client.stop(boxId, { guestTimeoutMs: 300 });
  const stopped = await dataOf(boxId, 'box.stopped');
  expect(stopped.manner).toBe('killed');
  expect(stopped.exit).toEqual({ kind: 'signal', signal: 'SIGKILL' });
  expect(await codeOf(output.next())).toBe('Unavailable');
  expect(await leavings(boxId)).toEqual([]);
});

test('17, 18: whoever takes over an effect whose lease ran out fences off the one before', async () => {
  const boxId = await startedBox('seventeen');
  process.kill(await agentOf(boxId), 'SIGSTOP');
  const store = await openStore({ databaseUrl: database.url, log: pino({ level: 'silent' }) });
  onTestFinished(() => store.close());
  const stop = client.stop(boxId, { guestTimeoutMs: 2_000 });
  const claimed = await eventually('the stop is under way', async () => {
    const { rows } = await store.pool.query(
      `SELECT effect_id, attempt, host_id, holder_epoch FROM boxledger.effects
       WHERE box_id = $1 AND kind = 'vm.shutdown' AND state = 'claimed'`,
      [boxId],
    );
    return rows[0];
  });
  // As when its event loop is blocked for longer than the lease.
  process.kill(server.pid, 'SIGSTOP');
  await store.pool.query(
    'UPDATE boxledger.effects SET lease_until = statement_timestamp() WHERE effect_id = $1',
    [claimed.effect_id],
  );
  const second = await store.outbox.claim(
    parseEffectId(claimed.effect_id),
    { hostId: parseHostId(claimed.host_id), epoch: claimed.holder_epoch },
    60_000,
  );
  if (second.kind !== 'claimed') throw new Error(`the effect is ${second.kind}`);
  process.kill(server.pid, 'SIGCONT');
  // By the lease that it cannot renew, or by its outcome that is refused.
  await eventually('the first attempt is told', () => /"stopped":"lost"|came too late/.test(server.log()));
  expect((await client.get(boxId)).state).toBe('stopping');
  expect(await store.outbox.release(second.effect, 0, {})).toBe(true);
  await store.pool.query('UPDATE boxledger.effects SET last_enqueued_at = NULL WHERE effect_id = $1', [
    claimed.effect_id,
  ]);
  await stop;
  expect(await typesOf(client, boxId)).toEqual([...started, 'box.stopRequested', 'box.stopped']);
  expect(await leavings(boxId)).toEqual([]);
});

test('19: a create that is repeated after a time-out makes one box', async () => {
  const blocker = new pg.Client({ connectionString: database.url });
  await blocker.connect();
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE boxledger.events IN SHARE MODE');
  const create = (timeoutMs?: number) => client.create({ commandId: 'create-nineteen', timeoutMs });
  expect(await codeOf(create(300))).toBe('DeadlineExceeded');
  const again = create();
  await blocker.end();
  const { box } = await again;
  expect((await create()).box.boxId).toBe(box.boxId);
  const boxes: string[] = [];
  for await (const { name, boxId } of client.list()) if (name === box.name) boxes.push(boxId);
  expect(boxes).toEqual([box.boxId]);
  expect(await typesOf(client, box.boxId)).toEqual(['box.created']);
});
