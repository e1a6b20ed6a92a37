import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { archivesIn, matchArchives } from '../../src/audit/archive-dir.ts';
import { LogWithArchives } from '../../src/audit/log-with-archives.ts';
import { KeyRing, readPublicKey } from '../../src/audit/public-keys.ts';
import type { Verdict } from '../../src/audit/verdict.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { boxStream, correlationId, defaultTenant, noVersion } from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { migrate } from '../../src/store/migrate.ts';
import { PostgresAuditLog } from '../../src/store/postgres-audit-log.ts';
import { settleRoles } from '../../src/store/roles.ts';
import { openStore } from '../../src/store/store.ts';
import { archiveTo, createArchiveDir, makeThreePartitions } from '../support/archived-log.ts';
import { signAll } from '../support/audited.ts';
import { dumpAndRestore, pgDumpMissing, startDebianPostgres } from '../support/debian-postgres.ts';
import { eventually } from '../support/eventually.ts';
import { partitionsOf } from '../support/partitions.ts';
import { createLogin, sql } from '../support/roles.ts';
import { createStore, silentLog, type TestStore } from '../support/store.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

let store: TestStore;
let log: Awaited<ReturnType<typeof makeThreePartitions>>;
let directory: string;
beforeEach(async () => {
  store = await createStore();
  closers.push(() => store.close());
  log = await makeThreePartitions(store, store.databaseUrl);
  const made = await createArchiveDir();
  closers.push(made.remove);
  directory = made.path;
});

/** The verdict on the database at the URL and the archives in the directory. */
const verify = async (
  databaseUrl = store.databaseUrl,
  archives: string | null = directory,
): Promise<Verdict> => {
  const source = await PostgresAuditLog.open(databaseUrl);
  try {
    const records = await source.archives();
    const given = matchArchives(records, await archivesIn(archives === null ? [] : [archives]));
    return await verifyLog(new LogWithArchives(source, records, given));
  } finally {
    await source.close();
  }
};

const streamOf = (box: typeof log.over) => store.log.readStream(boxStream(box), noVersion, 100);
const files = async () => (await readdir(directory)).sort();
const countOf = async (table: string) =>
  Number((await sql(store.databaseUrl, `SELECT count(*) FROM boxledger.${table}`))[0]?.['count']);

test('whole partitions leave into verified files, and what goes on stays from its first event on', async () => {
  const before = (await store.log.readAll('', 100)).events;
  const { units, stays } = await archiveTo(store.databaseUrl, directory);
  expect(units.map(({ events }) => events)).toEqual([5, 4]);
  expect(stays).toBe('what comes next is in a partition that is still being added to');
  expect(await files()).toEqual(units.map(({ file }) => file));
  const kept = before.filter(({ streamId }) => streamId === boxStream(log.lasting));
  expect(await streamOf(log.lasting)).toEqual(kept.map(({ cursor: _, ...event }) => event));
  expect(await countOf('events')).toBe(kept.length);
  expect(await verify()).toMatchObject({
    events: before.length,
    unsealed: 0,
    archived: { events: 0, files: [] },
    findings: [],
  });
  // And it goes on.
  await log.append(log.lasting);
  await signAllAfterArchive();
  expect((await verify()).findings).toEqual([]);
});

/** Of what is there; the totals of checkpoints count what is not there any more as well. */
const signAllAfterArchive = () =>
  signAll({ ...store, pool: { query: async () => ({ rows: [{ count: 13 }] }) } } as never, log.key, 100); // only asked to count

test('without its archives a log is right as far as it is there, and says what is not', async () => {
  const { units } = await archiveTo(store.databaseUrl, directory);
  const verdict = await verify(store.databaseUrl, null);
  expect(verdict).toMatchObject({
    findings: [],
    archived: { events: 6, files: units.map(({ file }) => file) },
  });
  expect(verdict.last?.checkpoint.total).toBe(11);
});

test('with one archive of two the other is said to be missing', async () => {
  const { units } = await archiveTo(store.databaseUrl, directory);
  const some = await createArchiveDir();
  closers.push(some.remove);
  for (const [at, { file }] of units.entries()) {
    await copyFile(join(directory, file), join(some.path, file));
    if (at > 0) continue;
    expect(await verify(store.databaseUrl, some.path)).toMatchObject({
      findings: [],
      archived: { files: [units[1]?.file] },
    });
  }
  expect(await verify(store.databaseUrl, some.path)).toMatchObject({ findings: [], archived: { files: [] } });
});

test('an archive is an export that is verified by itself, by a key that was kept elsewhere', async () => {
  const publicKey = readPublicKey(log.key.publicKeyHex);
  const keys = new KeyRing(publicKey === undefined ? [] : [publicKey], true);
  await archiveTo(store.databaseUrl, directory, { keys });
  for (const [, file] of await archivesIn([directory]))
    expect(await verifyLog(file, { keys })).toMatchObject({ findings: [], unsealed: 0 });
  const others = new KeyRing([], true);
  await log.append(log.lasting);
  await expect(archiveTo(store.databaseUrl, directory, { keys: others })).resolves.toMatchObject({
    units: [],
  });
});

test('archives that no key given has signed do not leave', async () => {
  const before = await countOf('events');
  await expect(
    archiveTo(store.databaseUrl, directory, { keys: new KeyRing([], true) }),
  ).rejects.toMatchObject({ code: 'InvalidState', help: expect.stringMatching(/forged/) });
  expect(await countOf('events')).toBe(before);
});

describe('what has left the database is refused by name', () => {
  let last: string;
  beforeEach(async () => {
    last = (await archiveTo(store.databaseUrl, directory)).units.at(-1)?.file ?? '';
  });
  const refusal = () => ({ code: 'InvalidState', details: { archive: last } });

  test('a stream', async () => {
    await expect(streamOf(log.between)).rejects.toMatchObject(refusal());
    await expect(streamOf(log.over)).rejects.toMatchObject({ code: 'InvalidState' });
    expect(await store.log.readStream(boxStream(log.over), 3n as never, 10)).toEqual([]); // after its end
  });

  test('the log from its beginning on, but not from where the archives end', async () => {
    const refused = await store.log.readAll('', 10).catch((error: unknown) => error);
    const { rows } = await store.pool.query(
      'SELECT to_transaction_id, to_position FROM boxledger.archives ORDER BY number DESC LIMIT 1',
    );
    const cursor = `${rows[0]?.to_transaction_id}.${rows[0]?.to_position}`;
    expect(refused).toMatchObject({ code: 'InvalidState', details: { cursor } });
    const { events } = await store.log.readAll(cursor, 10);
    expect(events.map(({ streamId, version }) => `${streamId} ${version}`)).toEqual(
      [4, 5].map((version) => `${boxStream(log.lasting)} ${version}`),
    );
  });

  test('but one stream that goes on can be followed from the beginning', async () => {
    const { events } = await store.log.readAll('', 10, { streamId: boxStream(log.lasting) });
    expect(events).toHaveLength(5);
    await expect(store.log.readAll('', 10, { streamId: boxStream(log.over) })).rejects.toMatchObject({
      code: 'InvalidState',
    });
  });

  test('a box as of a time at which it was another, and not as of later', async () => {
    const page = { size: 10, token: '' };
    const { rows } = await store.pool.query<{ at: Date }>(
      'SELECT max(updated_at) AS at FROM boxledger.boxes',
    );
    const end = rows[0]?.at.getTime() ?? 0;
    const now = await store.history.boxesAt(defaultTenant, timestampFromMs(end), {}, page);
    expect(now).toHaveLength(3);
    await store.pool.query(`UPDATE boxledger.boxes SET updated_at = updated_at + interval '1 s'`);
    await expect(store.history.boxesAt(defaultTenant, timestampFromMs(end), {}, page)).rejects.toMatchObject({
      code: 'InvalidState',
    });
  });

  test('what a request led to, unless it began after all that has left', async () => {
    const [, , , ...present] = await streamOf(log.lasting);
    for (const { correlationId: id } of present)
      expect(await store.history.correlated(defaultTenant, id, 10)).toHaveLength(2);
    await expect(store.history.correlated(defaultTenant, correlationId('nobody'), 10)).rejects.toMatchObject(
      refusal(),
    );
  });

  test('an audit of one box', async () => {
    const source = await PostgresAuditLog.open(store.databaseUrl);
    closers.push(() => source.close());
    await expect(source.stream(boxStream(log.over)).next()).rejects.toMatchObject({ code: 'InvalidState' });
    expect(await source.strayHeadsOf(boxStream(log.over))).toEqual([]);
  });

  test('and a rebuild leaves alone what it cannot fold', async () => {
    const rows = () =>
      sql(
        store.databaseUrl,
        `SELECT h.stream_id, h.version, h.hash, b.name, b.removed FROM boxledger.heads h
         JOIN boxledger.boxes b ON h.stream_id = 'box/' || b.box_id ORDER BY h.stream_id`,
      );
    const before = await rows();
    const result = () => ({ snapshot: {}, fingerprint: 'another', row: null });
    const options = { only: 'heads' } as const;
    expect(await store.rebuild({ evolve: () => null, result }, options)).toEqual({ streams: 1 });
    expect(await rows()).toEqual(before);
    expect(await countOf('boxes')).toBe(3);
  });
});

test('the end of the log is known when all of it has left', async () => {
  const end = await store.log.end();
  await archiveTo(store.databaseUrl, directory);
  expect(await store.log.end()).toBe(end);
  await store.pool.query('ALTER TABLE boxledger.events DETACH PARTITION boxledger.events_3');
  const { rows } = await store.pool.query(
    'SELECT to_transaction_id, to_position FROM boxledger.archives ORDER BY number DESC LIMIT 1',
  );
  expect(await store.log.end()).toBe(`${rows[0]?.to_transaction_id}.${rows[0]?.to_position}`);
});

describe('what is left alone', () => {
  const planned = (options: Parameters<typeof archiveTo>[2]) =>
    archiveTo(store.databaseUrl, directory, options).then(({ units, stays }) => `${units.length}: ${stays}`);

  test('what is not older than was asked for', async () => {
    expect(await planned({ before: { sequence: 2 } })).toMatch(/^0: what comes next ends with checkpoint 2/);
    expect(await planned({ before: { time: new Date(0) } })).toMatch(
      /^0: what comes next was signed last at/,
    );
    expect(await planned({ before: { sequence: 3 } })).toMatch(/^1: what comes next ends with checkpoint 4/);
    expect(await planned({ before: { time: new Date(Date.now() + 1_000) } })).toMatch(/^1: /);
  });

  test('what a durable consumer has not read', async () => {
    await store.consumers.restart('billing', '');
    expect(await planned({})).toBe('0: the consumer billing has not read what comes next');
    const { events } = await store.log.readAll('', 5);
    await store.consumers.restart('billing', events.at(-1)?.cursor ?? '');
    expect(await planned({})).toBe('1: the consumer billing has not read what comes next');
  });

  test('what is not signed', async () => {
    await sql(
      store.databaseUrl,
      'ALTER TABLE boxledger.checkpoints DISABLE TRIGGER ALL; DELETE FROM boxledger.checkpoints WHERE sequence > 2',
    );
    expect(await planned({})).toBe('1: partition 2 is not signed to its end yet');
  });

  test('everything, when it is only asked what would be', async () => {
    const { units } = await archiveTo(store.databaseUrl, directory, { dryRun: true });
    expect(units).toHaveLength(2);
    expect(await files()).toEqual([]);
    expect(await countOf('archives')).toBe(0);
  });

  test('everything, under the rights of the service', async () => {
    await settleRoles(store.databaseUrl);
    const login = await createLogin(store.databaseUrl, 'boxledger_service');
    closers.push(login.drop);
    await expect(archiveTo(login.url, directory)).rejects.toMatchObject({ code: 'PermissionDenied' });
    await expect(sql(login.url, 'INSERT INTO boxledger.archived_streams VALUES (1)')).rejects.toMatchObject({
      code: '42501',
    });
  });

  test('everything, while another archives or a rebuild is under way', async () => {
    const client = await store.pool.connect();
    await client.query('SELECT pg_advisory_lock_shared(6021966117)');
    await expect(archiveTo(store.databaseUrl, directory)).rejects.toMatchObject({ code: 'InvalidState' });
    client.release(true);
  });
});

test('the owner who is no superuser archives, and the service goes on', async () => {
  await settleRoles(store.databaseUrl);
  const [owner, service] = [
    await createLogin(store.databaseUrl, 'boxledger_owner'),
    await createLogin(store.databaseUrl, 'boxledger_service'),
  ];
  closers.push(owner.drop, service.drop);
  for (const sequence of [3, 5])
    expect((await archiveTo(owner.url, directory, { before: { sequence } })).units).toHaveLength(1);
  const opened = await openStore({ databaseUrl: service.url, log: silentLog });
  closers.push(() => opened.close());
  expect(await opened.log.readStream(boxStream(log.lasting), noVersion, 10)).toHaveLength(5);
  await log.append(log.lasting);
  await expect(sql(store.databaseUrl, 'DELETE FROM boxledger.events_kept_2')).rejects.toMatchObject({
    code: '55000',
  });
  await expect(sql(service.url, 'SELECT FROM boxledger.events_kept_2')).rejects.toMatchObject({
    code: '42501',
  });
});

test('archiving waits for a reader, while appends go on, and then comes about', async () => {
  const reader = await store.pool.connect();
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await reader.query('SELECT FROM boxledger.events');
  let isDone = false;
  const done = archiveTo(store.databaseUrl, directory, { before: { sequence: 3 } }).then(() => {
    isDone = true;
  });
  await eventually('it is at the exchange', async () => (await files()).some((name) => name.endsWith('.gz')));
  for (let count = 0; count < 5; count += 1) await log.append(log.lasting);
  expect(isDone).toBe(false);
  await reader.query('COMMIT');
  reader.release();
  await done;
  expect(await countOf('archives')).toBe(1);
});

test('an audit that is under way sees the log as it was, whole', async () => {
  const source = await PostgresAuditLog.open(store.databaseUrl);
  const done = archiveTo(store.databaseUrl, directory);
  await eventually('it is at the exchange', async () => (await files()).some((name) => name.endsWith('.gz')));
  expect(await verifyLog(source)).toMatchObject({ events: 11, findings: [] });
  await source.close();
  await done;
});

describe('a run that is cut short', () => {
  test.each(['archive.writing', 'archive.written', 'archive.verified', 'archive.dropped'] as const)(
    'at %s is made good by the next',
    async (point) => {
      const crash = (passed: string) => {
        if (passed === point) throw new Error(`cut short at ${point}`);
      };
      await expect(archiveTo(store.databaseUrl, directory, { crash })).rejects.toMatchObject({
        cause: { message: `cut short at ${point}` },
      });
      expect((await verify()).findings).toEqual([]);
      await archiveTo(store.databaseUrl, directory);
      expect((await files()).filter((name) => !name.endsWith('.ndjson.gz'))).toEqual([]);
      expect(await verify()).toMatchObject({ events: 11, findings: [], archived: { files: [] } });
      expect(await countOf('archives')).toBe(2);
      expect((await partitionsOf(store.databaseUrl))[0]).toMatchObject({ number: 3 });
    },
  );

  test('that left a draft and half a table behind is made good by the next', async () => {
    const { units } = await archiveTo(store.databaseUrl, directory, { dryRun: true });
    await writeFile(join(directory, `${units[0]?.file}.tmp`), 'half');
    await sql(store.databaseUrl, "SELECT boxledger.make_partition('events_kept_1')");
    await archiveTo(store.databaseUrl, directory);
    expect(await files()).toEqual(units.map(({ file }) => file));
    expect((await verify()).findings).toEqual([]);
  });

  test.each<[string, (text: string) => string | Buffer]>([
    ['with an event edited', (text) => gzipSync(text.replace('"kind":"user"', '"kind":"host"'))],
    ['cut off', (text) => gzipSync(text.slice(0, text.length / 2))],
    ['that is no export', () => gzipSync('hello\n')],
    ['half a file', (text) => gzipSync(text).subarray(0, 300)],
    ['empty', () => ''],
  ])('a file of that name %s keeps everything in the database', async (_what, change) => {
    const { units } = await archiveTo(store.databaseUrl, directory, {
      crash: (point) => {
        if (point === 'archive.written') throw new Error('cut short');
      },
    }).catch(() => archiveTo(store.databaseUrl, directory, { dryRun: true }));
    const file = join(directory, units[0]?.file ?? '');
    await writeFile(file, change(gunzipSync(await readFile(file)).toString()));
    await expect(archiveTo(store.databaseUrl, directory)).rejects.toMatchObject({
      code: expect.stringMatching(/InvalidState|InvalidArgument/),
    });
    expect(await countOf('events')).toBe(11);
    expect(await countOf('archives')).toBe(0);
  });
});

describe('with its archives, a verification finds', () => {
  beforeEach(async () => {
    await archiveTo(store.databaseUrl, directory);
  });
  const tampered = async (statement: string) => {
    await sql(store.databaseUrl, `SET session_replication_role = replica; ${statement}`);
    return (await verify()).findings.map(({ kind, event }) => `${kind} ${event?.streamId} ${event?.version}`);
  };

  test('what of a stream that goes on was edited in the database', async () => {
    expect(await tampered("UPDATE boxledger.events SET actor_id = 'eve' WHERE version = 1")).toEqual([
      `edited ${boxStream(log.lasting)} 1`,
    ]);
  });

  test('what of it was deleted there', async () => {
    expect(await tampered('DELETE FROM boxledger.events WHERE version = 2')).toEqual([
      `missing ${boxStream(log.lasting)} 2`,
    ]);
  });

  test('an archive that was changed', async () => {
    const [first = ''] = await files();
    const text = gunzipSync(await readFile(join(directory, first))).toString();
    await writeFile(join(directory, first), gzipSync(text.replace('"kind":"user"', '"kind":"host"')));
    expect((await verify()).findings).toMatchObject([{ kind: 'edited', event: { position: '1' } }]);
  });

  test('a stream that has left and has another head than it had', async () => {
    expect(
      await tampered(
        `UPDATE boxledger.heads SET version = version + 1 WHERE stream_id = '${boxStream(log.over)}'`,
      ),
    ).toEqual([`truncated ${boxStream(log.over)} 4`]);
  });
});

test.skipIf(pgDumpMissing !== undefined)(
  'on Postgres of Debian it is the same, also after dump and restore',
  async () => {
    const [first, second] = [await startDebianPostgres(), await startDebianPostgres()];
    closers.push(first.stop, second.stop);
    await migrate(first.url);
    const before = await openStore({ databaseUrl: first.url, log: silentLog });
    const { lasting } = await makeThreePartitions(before, first.url);
    await before.close();
    const made = await createArchiveDir();
    closers.push(made.remove);
    expect((await archiveTo(first.url, made.path)).units).toHaveLength(2);
    await dumpAndRestore(first.url, second.url);
    await migrate(second.url);
    expect(await verify(second.url, made.path)).toMatchObject({ events: 11, unsealed: 0, findings: [] });
    const after = await openStore({ databaseUrl: second.url, log: silentLog });
    expect(await after.log.readStream(boxStream(lasting), noVersion, 10)).toHaveLength(5);
    await after.close();
  },
);
