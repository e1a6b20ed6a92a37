import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CheckpointMaker, type CheckpointMakerOptions } from '../../src/audit/checkpoint-maker.ts';
import type { CheckpointSink } from '../../src/audit/checkpoint-sink.ts';
import type { CheckpointStore } from '../../src/audit/checkpoint-store.ts';
import { fileSink } from '../../src/audit/file-sink.ts';
import { httpSink } from '../../src/audit/http-sink.ts';
import { makeCheckpoint } from '../../src/audit/make-checkpoint.ts';
import { openKeyFile } from '../../src/audit/signing-key.ts';
import { type CrashPoint, checkpointCrashPoints, noCrash } from '../../src/kernel/crash-point.ts';
import { signAll, someKey, verifyDatabase } from '../support/audited.ts';
import { eventually } from '../support/eventually.ts';
import { appendRandomLog } from '../support/random-log.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

let store: TestStore;
let directory: string;
const makers: CheckpointMaker[] = [];
beforeEach(async () => {
  store = await createStore();
  directory = await mkdtemp(join(tmpdir(), 'boxledger-sink-'));
});
afterEach(async () => {
  for (const maker of makers.splice(0)) await maker.close();
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

const now = () => new Date().toISOString();
const start = async (options: Partial<CheckpointMakerOptions> = {}) => {
  const maker = await CheckpointMaker.start({
    store: store.checkpoints,
    key: someKey(),
    sinks: [],
    everyEvents: 1_000,
    everyMs: 3_600_000,
    now,
    log: silentLog,
    crash: noCrash,
    ...options,
  });
  makers.push(maker);
  return maker;
};
const append = (count: number, seed = 1) => appendRandomLog(store, { seed, streams: 3, count });
const checkpoints = async () => (await store.checkpoints.from(1, 1_000)).map(({ body }) => JSON.parse(body));
const filesOf = async (path: string) => (await readdir(path).catch(() => [])).sort();
const stateOf = async (sink: CheckpointSink) =>
  (await store.checkpoints.sinks()).find((state) => state.sink === sink.name);

test('checkpoints are made by count', async () => {
  await start({ everyEvents: 10 });
  await append(35);
  const made = await eventually('three checkpoints', async () => {
    const all = await checkpoints();
    return all.length >= 3 && all;
  });
  expect(made.slice(0, 3).map(({ count }) => count)).toEqual([10, 10, 10]);
});

test('and by time, when there is anything to sign, and not otherwise', async () => {
  await start({ everyMs: 50 });
  await append(5);
  await eventually('all is signed', async () => (await checkpoints()).at(-1)?.total >= 5);
  const { length } = await checkpoints();
  await new Promise((resolve) => setTimeout(resolve, 300)); // six times the time that one takes
  expect(await checkpoints()).toHaveLength(length);
});

test('what is not signed when a server ends is signed then', async () => {
  const maker = await start();
  await append(5);
  await eventually('nothing is held back', async () => {
    await maker.close();
    return (await checkpoints()).at(-1)?.total >= 5;
  });
});

test('a server ends also while others go on appending', async () => {
  let others = 0;
  const { checkpoints: signed } = store;
  const busy: CheckpointStore = {
    addKey: (...args) => signed.addKey(...args),
    exclusively: async (work) => {
      const made = await signed.exclusively(work);
      others += 1;
      if (others <= 20) await append(1, 1 + others);
      return made;
    },
    last: () => signed.last(),
    end: () => signed.end(),
    from: (...args) => signed.from(...args),
    sinks: () => signed.sinks(),
    noteSent: (...args) => signed.noteSent(...args),
    noteFailure: (...args) => signed.noteFailure(...args),
  };
  const maker = await start({ store: busy });
  await append(5);
  await maker.close();
  expect(others).toBe(1);
});

test('of several makers each checkpoint is made by one', async () => {
  const key = someKey();
  for (let index = 0; index < 4; index += 1) await start({ key, everyEvents: 3, everyMs: 50 });
  await Promise.all([append(30, 1), append(30, 2), append(30, 3)]);
  await eventually('all is signed', async () => (await checkpoints()).at(-1)?.total >= 90);
  const verdict = await verifyDatabase(store.databaseUrl);
  expect(verdict).toMatchObject({ findings: [], unsealed: 0 });
});

test('while somebody makes one, appends go on and another maker steps back', async () => {
  await append(5);
  const key = someKey();
  await store.checkpoints.addKey(key.keyId, key.publicKeyHex);
  await store.checkpoints.exclusively(async (session) => {
    await session.leavesAfter({ transactionId: '0', position: '0' }, 100, undefined);
    const options = { store: store.checkpoints, key, eventsMax: 100, now, crash: noCrash };
    expect(await makeCheckpoint(options)).toBeUndefined();
    await append(5, 2);
  });
});

test('a checkpoint cannot be changed or taken away', async () => {
  await append(5);
  await signAll(store, someKey());
  for (const change of [
    "UPDATE boxledger.checkpoints SET body = ''",
    'DELETE FROM boxledger.checkpoints',
    'TRUNCATE boxledger.checkpoints',
  ])
    await expect(store.pool.query(change)).rejects.toMatchObject({ code: '55000' });
  await expect(store.pool.query('DELETE FROM boxledger.checkpoint_keys')).rejects.toMatchObject({
    code: '55000',
  });
});

test('another key signs on, and the public key of the one before is kept with its range', async () => {
  const [first, second] = [someKey(), someKey()];
  await append(10);
  await signAll(store, first, 4);
  await append(10, 2);
  await signAll(store, second, 100);
  expect(await verifyDatabase(store.databaseUrl)).toMatchObject({ findings: [], unsealed: 0 });
  const keyIds = (await checkpoints()).map(({ keyId }) => keyId);
  expect(new Set(keyIds)).toEqual(new Set([first.keyId, second.keyId]));
  expect(keyIds.indexOf(second.keyId)).toBe(keyIds.lastIndexOf(first.keyId) + 1);
});

test('a key file is made once, for its owner alone, and read again', async () => {
  const file = join(directory, 'deep', 'key.pem');
  const [a, b] = await Promise.all([openKeyFile(file), openKeyFile(file)]);
  expect(a.keyId).toBe(b.keyId);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await openKeyFile(file)).publicKeyHex).toBe(a.publicKeyHex);
  expect(await filesOf(join(directory, 'deep'))).toEqual(['key.pem']);
  await writeFile(file, 'no key');
  await expect(openKeyFile(file)).rejects.toMatchObject({ code: 'InvalidArgument' });
});

test('a directory gets every checkpoint, each a file', async () => {
  const sink = fileSink(join(directory, 'sink'));
  await start({ sinks: [sink], everyEvents: 5 });
  await append(17);
  await eventually('three files', async () => (await filesOf(join(directory, 'sink'))).length >= 3);
  const [first] = await store.checkpoints.from(1, 1);
  expect(JSON.parse(await readFile(join(directory, 'sink', 'checkpoint-0000000001.json'), 'utf8'))).toEqual({
    kind: 'checkpoint',
    body: JSON.parse(first?.body ?? ''),
    signature: first?.signature,
  });
});

test('a directory that holds another history takes none of this one', async () => {
  await append(5);
  await signAll(store, someKey());
  const [signed] = await store.checkpoints.from(1, 1);
  if (signed === undefined) throw new Error('nothing was signed');
  const sink = fileSink(directory);
  const { signal } = new AbortController();
  await sink.send(1, signed, signal);
  await sink.send(1, signed, signal);
  await expect(sink.send(1, { ...signed, signature: '0'.repeat(128) }, signal)).rejects.toMatchObject({
    code: 'Conflict',
  });
});

/** A server that answers with what it is told to, and keeps what it has got. */
const receiver = async () => {
  const got: string[] = [];
  const answer = { status: 500 };
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => {
      body += data;
    });
    request.on('end', () => {
      if (answer.status < 300) got.push(body);
      response.writeHead(answer.status).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://user:secret@127.0.0.1:${port}/checkpoints?token=secret`.replace('user:secret@', ''),
    got,
    answer,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
};

test('a sink that is down is shown, blocks nothing, and gets all in order when it is back', async () => {
  const there = await receiver();
  const sink = httpSink(there.url);
  expect(sink.name).not.toContain('secret');
  const warnings: object[] = [];
  const log = { info: () => undefined, warn: (fields: object) => warnings.push(fields) };
  await start({ sinks: [sink], everyEvents: 5, log, firstRetryMs: 20 });
  await append(17);
  const failing = await eventually('the failure is noted', async () => {
    const state = await stateOf(sink);
    return state?.failingSince != null && state;
  });
  expect(failing).toMatchObject({ sentSequence: 0, lastError: 'the sink answered with status 500' });
  await eventually('checkpoints are made all the same', async () => (await checkpoints()).length >= 3);
  there.answer.status = 204;
  await eventually('the sink has caught up', async () => {
    const state = await stateOf(sink);
    return state?.failingSince === null && state.sentSequence >= 3;
  });
  expect(there.got.slice(0, 3).map((line) => JSON.parse(line).body.sequence)).toEqual([1, 2, 3]);
  expect(warnings).toHaveLength(1);
  await there.close();
});

test.each(checkpointCrashPoints)(
  'a maker that dies at %s leaves a log that is signed and sent on',
  async (point) => {
    const key = someKey();
    const sink = fileSink(join(directory, 'sink'));
    await append(12);
    let passed: (() => void) | undefined;
    const died = new Promise<void>((resolve) => {
      passed = resolve;
    });
    const crash = (at: CrashPoint) => {
      if (at !== point) return;
      passed?.();
      throw new Error('the process is gone');
    };
    const dying = await start({ key, sinks: [sink], everyEvents: 5, crash, firstRetryMs: 60_000 });
    await died;
    makers.splice(makers.indexOf(dying), 1);
    await dying.close();
    const next = await start({ key, sinks: [sink], everyEvents: 5 });
    await eventually('all is signed', async () => {
      await next.makeAll();
      return (await checkpoints()).at(-1)?.total >= 12;
    });
    await eventually(
      'all is sent',
      async () => (await filesOf(join(directory, 'sink'))).length === (await checkpoints()).length,
    );
    expect(await verifyDatabase(store.databaseUrl)).toMatchObject({ findings: [], unsealed: 0 });
  },
);
