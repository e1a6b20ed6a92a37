import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { crashPoints } from '../../src/kernel/crash-point.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, processesOf, startServer } from '../support/server.ts';

/** Each place where the server is killed: `point:kind`, with the change that passes it. */
const crashes: readonly [at: string, change: Change][] = [
  ['append.before:box.create', 'create'],
  ['append.after:box.create', 'create'],
  ['append.before:box.start', 'start'],
  ['append.after:box.start', 'start'],
  ['enqueue.before:vm.boot', 'start'],
  ['enqueue.after:vm.boot', 'start'],
  ['claim.before:vm.boot', 'start'],
  ['claim.after:vm.boot', 'start'],
  ['effect.before:vm.boot', 'start'],
  ['boot.spawned:vm.boot', 'start'],
  ['effect.after:vm.boot', 'start'],
  ['outcome.after:vm.boot', 'start'],
  ['claim.after:vm.pause', 'pause'],
  ['effect.after:vm.pause', 'pause'],
  ['outcome.after:vm.pause', 'pause'],
  ['claim.after:vm.resume', 'resume'],
  ['effect.after:vm.resume', 'resume'],
  ['append.after:box.stop', 'stop'],
  ['claim.after:vm.shutdown', 'stop'],
  ['shutdown.asked:vm.shutdown', 'stop'],
  ['effect.after:vm.shutdown', 'stop'],
  ['outcome.after:vm.shutdown', 'stop'],
  ['claim.after:disk.remove', 'remove'],
  ['effect.after:disk.remove', 'remove'],
];

type Change = 'create' | 'start' | 'pause' | 'resume' | 'stop' | 'remove';
const changes: readonly Change[] = ['create', 'start', 'pause', 'resume', 'stop', 'remove'];

/** A box's whole life, each event once: what the log says in the end, wherever the server was killed. */
const wholeLife = [
  'box.created',
  'box.startRequested',
  'box.started',
  'box.pauseRequested',
  'box.paused',
  'box.resumeRequested',
  'box.resumed',
  'box.stopRequested',
  'box.stopped',
  'box.removeRequested',
  'box.removed',
];

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

test('every named crash point is tried', () => {
  const tried = crashes.map(([at]) => at.slice(0, at.indexOf(':')));
  expect(new Set(tried)).toEqual(new Set(crashPoints));
});

describe('a server that is killed (SIGKILL) and started again, and its caller who repeats the command', () => {
  test.each(crashes)('lose and double nothing at %s', async (at, change) => {
    const dataDir = await createDataDir();
    try {
      const name = at.replaceAll(/[.:]/g, '-');
      const first = await startServer({ dataDir: dataDir.path, databaseUrl: database.url, crashAt: at });
      const before = connect({ address: first.address, retries: 0 });
      await live(before, name, changes.slice(0, changes.indexOf(change)));
      await expect(live(before, name, [change])).rejects.toBeInstanceOf(BoxledgerError);
      before.close();
      expect(await first.ended).toBe('SIGKILL');

      const second = await startServer({ dataDir: dataDir.path, databaseUrl: database.url });
      const after = connect({ address: second.address });
      const boxId = await live(after, name, changes.slice(changes.indexOf(change)));
      expect(await typesOf(after, boxId)).toEqual(wholeLife);
      after.close();
      expect(await second.stop()).toBe(0);
      await expectReplayEqualsHeads(database.url);
      expect(await processesOf(dataDir.path)).toEqual([]);
    } finally {
      await dataDir.remove();
    }
  });
});

/** Carries out the changes, each under a command id that the repetition uses again. Returns the box's id. */
const live = async (client: Client, name: string, todo: readonly Change[]): Promise<string> => {
  let boxId = '';
  for (const change of todo) {
    const commandId = `${name}-${change}`;
    if (change === 'create') boxId = (await client.create({ name, commandId })).box.boxId;
    else if (change === 'remove')
      boxId = (await client.remove(await idOf(client, name), { commandId })).boxId;
    else boxId = (await client[change](name, { commandId })).boxId;
  }
  return boxId;
};

/** A removed box has given its name back, so the repetition of a removal names it by id. */
const idOf = async (client: Client, name: string): Promise<string> => {
  for await (const box of client.list({ namePrefix: name, includeRemoved: true }))
    if (box.name === name) return box.boxId;
  throw new Error(`no box was ever named ${name}`);
};

const typesOf = async (client: Client, boxId: string): Promise<string[]> => {
  const types: string[] = [];
  for await (const event of client.readStream(`box/${boxId}`)) types.push(event.type);
  return types;
};
