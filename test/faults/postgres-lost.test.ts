import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from 'vitest';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { agentOf } from '../support/box-processes.ts';
import { codeOf, eventsOf, insistently, typesOf } from '../support/box-stories.ts';
import { eventually } from '../support/eventually.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/own-postgres.ts';
import { expectReplayEqualsHeads } from '../support/replay.ts';
import { createDataDir, processesOf, startServer, type TestServer } from '../support/server.ts';

let postgres: OwnPostgres;
let dataDir: Awaited<ReturnType<typeof createDataDir>>;
let server: TestServer;
/** Repeats nothing by itself. */
let client: Client;
beforeAll(async () => {
  postgres = await startOwnPostgres();
  dataDir = await createDataDir();
  server = await startServer({ dataDir: dataDir.path, databaseUrl: postgres.url });
  client = connect({ address: server.address, retries: 0 });
});
afterAll(async () => {
  client?.close();
  await server?.stop();
  await postgres?.close();
  await dataDir?.remove();
});

beforeEach(() => {
  onTestFailed(() => console.info(server.log().slice(-20_000)));
});

const namesOf = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

/** Number of rows that fit `condition` in the outbox. */
const effects = async (condition: string) =>
  Number((await postgres.query(`SELECT count(*) FROM boxledger.effects WHERE ${condition}`))[0]?.['count']);

test('commands in which Postgres dies are Unavailable; repeated under their ids, each is carried out once', async () => {
  const names = namesOf('held-', 8);
  const create = (name: string) => client.create({ name, commandId: `create-${name}` });
  const letGo = await postgres.holdAppends();
  const asked = names.map((name) => codeOf(create(name)));
  await eventually('an append is under way', async () => {
    const waiting = await postgres.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
    return waiting.length > 0;
  });
  await postgres.kill();
  await letGo();
  expect(await Promise.all(asked)).toEqual(names.map(() => 'Unavailable'));
  expect(await codeOf(create('while-gone'))).toBe('Unavailable');
  expect(await codeOf(client.get('while-gone'))).toBe('Unavailable');

  await postgres.start();
  for (const name of names) {
    const { box } = await insistently(() => create(name));
    expect((await create(name)).box.boxId).toBe(box.boxId);
    expect(await typesOf(client, box.boxId)).toEqual(['box.created']);
  }
  const boxes: string[] = [];
  for await (const box of client.list({ namePrefix: 'held-' })) boxes.push(box.name);
  expect(boxes.sort()).toEqual(names);
  expect(server.log()).not.toContain('"level":60');
});

test('Postgres dies and comes back while boxes are started and stopped: all end where they were asked to, each event once', async () => {
  const names = namesOf('box-', 6);
  const ids = new Map<string, string>();
  for (const name of names) ids.set(name, (await client.create({ name })).box.boxId);

  /** Asks it of all boxes, kills Postgres as soon as one is being dealt with, and asks again under the same ids. */
  const throughDeath = async (change: 'start' | 'stop' | 'remove', kind: string) => {
    const ask = (name: string) => client[change](ids.get(name) ?? '', { commandId: `${change}-${name}` });
    const asked = names.map((name) => codeOf(ask(name)));
    await eventually(
      'an effect is under way',
      async () => (await effects(`kind = '${kind}' AND attempt > 0`)) > 0,
    );
    await postgres.kill();
    await postgres.start();
    const began = performance.now();
    // A call whose command was recorded may as well have waited for the outcome all the while.
    for (const code of await Promise.all(asked)) expect(['ok', 'Unavailable']).toContain(code);
    await Promise.all(names.map((name) => insistently(() => ask(name))));
    // Nothing waits for the lock of a job to run out.
    expect(performance.now() - began).toBeLessThan(20_000);
  };

  const story = ['box.created', 'box.startRequested', 'box.started'];
  await throughDeath('start', 'vm.boot');
  for (const [name, boxId] of ids) {
    expect((await client.get(name)).state).toBe('running');
    expect(await typesOf(client, boxId)).toEqual(story);
  }
  await throughDeath('stop', 'vm.shutdown');
  for (const [name, boxId] of ids) {
    expect((await client.get(name)).state).toBe('stopped');
    expect(await typesOf(client, boxId)).toEqual([...story, 'box.stopRequested', 'box.stopped']);
    expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  }
  await throughDeath('remove', 'disk.remove');
  for (const boxId of ids.values()) {
    const events = await eventsOf(client, boxId);
    expect(events.map(({ type }) => type).slice(5)).toEqual(['box.removeRequested', 'box.removed']);
  }
  expect(await effects("state IN ('pending', 'claimed')")).toBe(0);
  await expectReplayEqualsHeads(postgres.url);
}, 180_000);

test('while Postgres is away for longer than leases last, an effect is let go of; it is done when Postgres is back', async () => {
  const { boxId } = (await client.create({ name: 'leased' })).box;
  await client.start(boxId);
  const agent = await agentOf(boxId);
  process.kill(agent, 'SIGSTOP');
  await client.stop(boxId, { guestTimeoutMs: 120_000, wait: false });
  await eventually('the stop is under way', async () => (await effects("state = 'claimed'")) === 1);
  await postgres.kill();
  await eventually('the effect is let go of', () => server.log().includes('"stopped":"lost"'), 60_000);
  await postgres.start();
  process.kill(agent, 'SIGCONT');
  await insistently(() => client.wait(boxId, ['stopped']));
  expect(await typesOf(client, boxId)).toEqual([
    ...['box.created', 'box.startRequested', 'box.started', 'box.stopRequested', 'box.stopped'],
  ]);
  expect(await leavingsOf(dataDir.path, parseBoxId(boxId))).toEqual([]);
  await client.remove(boxId);
  await expectReplayEqualsHeads(postgres.url);
}, 120_000);

test('the server ends in good order, and nothing is left', async () => {
  expect(await server.stop()).toBe(0);
  expect(await processesOf(dataDir.path)).toEqual([]);
});
