import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { type Client, connect, type Event } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { type BoxProcess, boxProcesses, boxProcessOf } from '../support/box-processes.ts';
import { eventsOf } from '../support/box-stories.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, type DataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

const boxCount = 12;
const killCount = 5;
/** BOXLEDGER_TEST_SEED repeats a run, as far as processes and their timing can be repeated. */
const seed = Number(process.env['BOXLEDGER_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Mulberry32: numbers in [0, 1) that follow from the seed. Source: Tommy Ettinger, 2017, public domain. */
const randomFrom = (start: number) => {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

type Change = 'start' | 'pause' | 'resume' | 'snapshot' | 'stop' | 'restore' | 'remove';
/** Each box lives one of these lives. The last leaves its box behind, at rest. */
const lives: readonly (readonly Change[])[] = [
  ['start', 'snapshot', 'pause', 'resume', 'stop', 'remove'],
  ['start', 'stop', 'start', 'pause', 'snapshot', 'stop', 'restore', 'remove'],
  ['start', 'pause', 'resume', 'stop'],
];
/** What a change that nothing comes in the way of adds to the history of its box. */
const story: Record<Change, readonly string[]> = {
  start: ['box.startRequested', 'box.started'],
  pause: ['box.pauseRequested', 'box.paused'],
  resume: ['box.resumeRequested', 'box.resumed'],
  snapshot: ['box.snapshotRequested', 'box.snapshotCreated'],
  stop: ['box.stopRequested', 'box.stopped'],
  restore: ['box.restoreRequested', 'box.restored'],
  remove: ['box.removeRequested', 'box.removed'],
};

let database: TestDatabase;
let dataDir: DataDir;
let server: TestServer;
let client: Client;
const serve = async () => {
  server = await startServer({ dataDir: dataDir.path, databaseUrl: database.url });
  client = connect({ address: server.address, retries: 0 });
};
beforeAll(async () => {
  [database, dataDir] = await Promise.all([createDatabase(), createDataDir()]);
  await serve();
});
afterAll(async () => {
  client?.close();
  await server?.kill();
  await dataDir?.remove();
  await database?.drop();
});

/** Calls whichever server there is, again and again, until one answers. */
const insist = async <Result>(call: (client: Client) => Promise<Result>): Promise<Result> => {
  for (;;) {
    try {
      return await call(client);
    } catch (error) {
      if (!(error instanceof BoxledgerError && error.code === 'Unavailable')) throw error;
    }
    await sleep(50); // the next server is on its way
  }
};

/** Command ids of all that was acknowledged, by box. */
const acknowledged = new Map<string, string[]>();

const live = async (n: number): Promise<{ boxId: string; changes: readonly Change[] }> => {
  const name = `box-${n}`;
  const changes = lives[n % lives.length] ?? [];
  const created = `${name}-create`;
  const { boxId } = (await insist((to) => to.create({ name, commandId: created }))).box;
  const answered = [created];
  acknowledged.set(boxId, answered);
  for (const [step, change] of changes.entries()) {
    const commandId = `${name}-${step}-${change}`;
    await insist((to) => ask(to, boxId, change, commandId));
    answered.push(commandId);
  }
  return { boxId, changes };
};

const ask = (to: Client, boxId: string, change: Change, commandId: string): Promise<unknown> => {
  switch (change) {
    case 'snapshot':
      return to.disks.createSnapshot(boxId, { name: 'kept', commandId });
    case 'restore':
      return to.disks.restoreSnapshot(boxId, 'kept', { commandId });
    default:
      return to[change](boxId, { commandId });
  }
};

/** Looks for boxes that run twice until the returned function is called, which says what was found. */
const watchForTwins = () => {
  const found = new Set<string>();
  const boots = new Set<string>();
  let over = false;
  const still = async ({ pid, startTime }: BoxProcess) => {
    const now = await boxProcessOf(pid);
    return now !== undefined && now.state !== 'Z' && now.startTime === startTime;
  };
  const watching = (async () => {
    while (!over) {
      const processes = (await boxProcesses()).filter(({ boxId }) => acknowledged.has(boxId));
      for (const { nonce } of processes) boots.add(nonce);
      for (const one of processes)
        for (const other of processes)
          if (
            one.boxId === other.boxId &&
            one.nonce < other.nonce &&
            (await still(one)) &&
            (await still(other))
          )
            found.add(`${one.boxId}: ${one.pid} and ${other.pid}`);
      await sleep(50);
    }
  })();
  return async () => {
    over = true;
    await watching;
    return { twins: [...found], boots: boots.size };
  };
};

test(`a server that is killed ${killCount} times while ${boxCount} boxes live loses and doubles nothing (seed ${seed})`, {
  timeout: 240_000,
}, async () => {
  onTestFailed(() => console.info(`BOXLEDGER_TEST_SEED=${seed}\n${server.log().slice(-20_000)}`));
  const random = randomFrom(seed);
  const endOfWatch = watchForTwins();
  const living = Promise.all(Array.from({ length: boxCount }, (_, n) => live(n)));
  let lived = false;
  const over = living.finally(() => {
    lived = true;
  });
  over.catch(() => undefined); // it is awaited below
  let kills = 0;
  while (kills < killCount && !lived) {
    await sleep(100 + random() * 900);
    const before = client;
    await server.kill();
    kills += 1;
    await serve();
    before.close();
  }
  const boxes = await over;
  const { twins, boots } = await endOfWatch();
  console.info(`seed ${seed}: ${kills} kills, ${boots} boots seen`);
  expect(twins).toEqual([]);
  expect(boots).toBeGreaterThan(0);

  for (const { boxId, changes } of boxes) {
    const events = await eventsOf(client, boxId);
    expect(events.map(({ type }) => type)).toEqual([
      'box.created',
      ...changes.flatMap((change) => story[change]),
    ]);
    for (const commandId of acknowledged.get(boxId) ?? []) expect(eventsUnder(events, commandId)).toBe(1);
    expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  }
  const kept = boxes.filter(({ changes }) => changes.at(-1) !== 'remove').map(({ boxId }) => boxId);
  expect((await readdir(join(dataDir.path, 'boxes'))).sort()).toEqual(kept.sort());
  expect(await server.stop()).toBe(0);
  expect(await processesOf(dataDir.path)).toEqual([]);
  await expectReplayEqualsHeads(database.url);
});

const eventsUnder = (events: readonly Event[], commandId: string) =>
  events.filter((event) => event.commandId === commandId).length;
