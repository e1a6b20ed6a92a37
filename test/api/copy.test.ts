import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { boxStream, copyId, copyStream, noVersion } from '../../src/kernel/ids.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { buildAgent, startAgent, type TestAgent } from '../support/agent-process.ts';
import { archiveOf, listing, pieces } from '../support/archive.ts';
import { eventually } from '../support/eventually.ts';
import { type HandMade, handMade, idOf } from './hand-made-host.ts';

/** Every box here is the same real agent: what is shown is what the log says of copies, and when they are made. */
let agent: TestAgent;
let plane: HandMade;
let client: Client;
/** A running box's name, and a directory of its own. */
let box: string;
let home: string;
let boxes = 0;

beforeAll(async () => {
  await buildAgent();
  agent = await startAgent();
  plane = await handMade(agent.guest);
  client = connect({ address: plane.api.address, actor: 'ann' });
});
afterAll(async () => {
  client.close();
  await plane.close();
  await agent.stop();
});
beforeEach(async () => {
  boxes += 1;
  box = `copied-${boxes}`;
  home = await mkdtemp(join(agent.home, 'copy-'));
  await client.create({ name: box });
});

const start = async () => {
  const started = client.start(box);
  await plane.succeed(box, 'vm.boot');
  return started;
};
const archive = archiveOf({ path: 'd/', type: 'Directory' }, { path: 'd/f', content: 'content' });
const digest = createHash('sha256').update(archive).digest('hex');
const eventsOf = (id: string) => plane.store.log.readStream(copyStream(copyId(id)), noVersion, 10);
const failureOf = async (work: Promise<unknown>): Promise<BoxledgerError> => {
  const error = await work.then(
    () => new Error('it did not fail'),
    (failure: unknown) => failure,
  );
  if (error instanceof BoxledgerError) return error;
  throw error;
};
const eventsAfter = async (failure: BoxledgerError) => eventsOf(String(failure.details['copyId']));
/** Of all copies so far. */
const copies = async () => {
  const events = [];
  for await (const event of client.readAll({ categories: ['copy'] })) events.push(event);
  return events;
};

test('a copy in is in the log, with its digest and not its bytes', async () => {
  const { boxId } = await start();
  const done = await client.copyIn(box, home, pieces(archive), { reason: 'new site' });
  expect(done).toMatchObject({ entries: 2n, bytes: 7n });
  expect(await eventsOf(done.copyId)).toMatchObject([
    {
      type: 'copy.completed',
      data: { boxId, generation: 1, direction: 'in', path: home, entries: 2, bytes: 7, sha256: digest },
      actor: { kind: 'user', id: 'ann' },
      reason: 'new site',
    },
  ]);
});

test('a copy out is in the log, with the digest of what the caller got', async () => {
  await start();
  await mkdir(join(home, 'd'));
  await writeFile(join(home, 'd/f'), 'content');
  const hash = createHash('sha256');
  async function* seen() {
    for await (const piece of client.copyOut(box, home, { reason: 'to look at it' })) {
      hash.update(piece);
      yield piece;
    }
  }
  expect(await listing(seen())).toEqual({ './': '/', './d/': '/', './d/f': 'content' });
  const last = (await copies()).at(-1);
  expect(last).toMatchObject({ type: 'copy.completed', reason: 'to look at it' });
  const sha256 = hash.digest('hex');
  const told = { direction: 'out', path: home, entries: 3, bytes: 7, sha256 };
  expect(JSON.parse(last?.dataJson ?? '')).toMatchObject(told);
});

test('a copy that fails is in the log, with why, and the caller is told which it is', async () => {
  await start();
  const hostile = archiveOf({ path: 'f', content: 'x' }, { path: '../evil', content: 'x' });
  const refused = await failureOf(client.copyIn(box, home, pieces(hostile)));
  expect(refused).toMatchObject({ code: 'InvalidArgument', faults: [{ field: 'tar' }] });
  const missing = await failureOf(listing(client.copyOut(box, join(home, 'none'))));
  expect(missing.code).toBe('NotFound');
  for (const [failure, direction] of [
    [refused, 'in'],
    [missing, 'out'],
  ] as const)
    expect(await eventsAfter(failure)).toMatchObject([
      { type: 'copy.failed', data: { direction, failure: { code: failure.code } } },
    ]);
  expect(await readdir(home)).toEqual([]);
});

test('the same command id with the same archive copies once, whatever has become of the files', async () => {
  await start();
  const options = { commandId: `once-${box}` };
  const first = await client.copyIn(box, home, pieces(archive), options);
  await writeFile(join(home, 'd/f'), 'changed since');
  expect(await client.copyIn(box, home, pieces(archive), options)).toEqual(first);
  expect(await readFile(join(home, 'd/f'), 'utf8')).toBe('changed since');
});

test('the same command id for another archive, another path or a box is a conflict, and changes nothing', async () => {
  await start();
  const options = { commandId: `taken-${box}` };
  await client.copyIn(box, home, pieces(archive), options);
  const other = archiveOf({ path: 'd/f', content: 'other' });
  expect((await failureOf(client.copyIn(box, home, pieces(other), options))).code).toBe('Conflict');
  expect((await failureOf(client.copyIn(box, `${home}/e`, pieces(archive), options))).code).toBe('Conflict');
  expect((await failureOf(client.create({ name: `${box}-b`, ...options }))).code).toBe('Conflict');
  expect(await readdir(home)).toEqual(['d']);
  expect(await readFile(join(home, 'd/f'), 'utf8')).toBe('content');
});

test('a copy that failed may be made again under its command id', async () => {
  await start();
  const options = { commandId: `again-${box}`, overwrite: false };
  await writeFile(join(home, 'd'), 'in the way');
  expect((await failureOf(client.copyIn(box, home, pieces(archive), options))).code).toBe('AlreadyExists');
  await rm(join(home, 'd'));
  expect(await client.copyIn(box, home, pieces(archive), options)).toMatchObject({ entries: 2n });
});

test('a copy for a version that the box is not at is a conflict', async () => {
  const { version } = await start();
  const late = client.copyIn(box, home, pieces(archive), { expectedVersion: version - 1n });
  expect((await failureOf(late)).code).toBe('Conflict');
  expect(await readdir(home)).toEqual([]);
  await client.copyIn(box, home, pieces(archive), { expectedVersion: version });
});

test('a copy starts its box and is named as the cause, unless that is not wanted', async () => {
  const before = (await copies()).length;
  const autoStart = false;
  expect((await failureOf(client.copyIn(box, home, pieces(archive), { autoStart }))).code).toBe(
    'InvalidState',
  );
  expect((await failureOf(listing(client.copyOut(box, home, { autoStart })))).code).toBe('InvalidState');
  expect(await copies()).toHaveLength(before); // they were not let in
  const copying = client.copyIn(box, home, pieces(archive));
  await plane.succeed(box, 'vm.boot');
  const done = await copying;
  const boxId = idOf(await client.get(box));
  const [, request] = await plane.store.log.readStream(boxStream(boxId), noVersion, 10);
  expect(request).toMatchObject({
    type: 'box.startRequested',
    reason: 'copy',
    causationId: done.copyId,
  });
  const [completed] = await eventsOf(done.copyId);
  expect(completed?.correlationId).toBe(request?.correlationId);
});

test('a caller that leaves half-way leaves nothing in the box, and the log says so', async () => {
  await start();
  const before = (await copies()).length;
  const stop = new AbortController();
  async function* unfinished() {
    yield archive.subarray(0, 1024);
    await eventually('it has begun', async () => (await readdir(home)).length > 0);
    stop.abort(new Error('enough'));
    yield archive.subarray(1024);
  }
  await expect(client.copyIn(box, home, unfinished(), { signal: stop.signal })).rejects.toThrow('enough');
  await eventually('it is recorded', async () => (await copies()).length > before);
  expect((await copies()).at(-1)).toMatchObject({ type: 'copy.failed' });
  await eventually('it has been cleaned up', async () => (await readdir(home)).length === 0);
});

test('a reader that leaves half-way has its copy recorded as failed', async () => {
  await start();
  await writeFile(join(home, 'large'), Buffer.alloc(8 * 1024 * 1024, 'x'));
  const before = (await copies()).length;
  for await (const _piece of client.copyOut(box, home)) break;
  await eventually('it is recorded', async () => (await copies()).length > before);
  expect((await copies()).at(-1)).toMatchObject({ type: 'copy.failed' });
});

test('a source that fails at once has asked for nothing', async () => {
  const before = (await copies()).length;
  // biome-ignore lint/correctness/useYield: it is to fail before it has anything
  const failing = (async function* (): AsyncGenerator<Uint8Array> {
    throw new Error('no such file');
  })();
  await expect(client.copyIn(box, home, failing)).rejects.toThrow('no such file');
  expect((await client.get(box)).state).toBe('configured');
  expect(await copies()).toHaveLength(before);
});
