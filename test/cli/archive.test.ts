import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { archiveLog } from '../../src/main/archive.ts';
import { openAudit } from '../../src/main/open-audit.ts';
import { prepareDatabase } from '../../src/main/prepare-database.ts';
import { serve } from '../../src/main/serve.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, untilValue } from '../support/eventually.ts';
import { cutPartition } from '../support/partitions.ts';
import { createLogin, type TestLogin } from '../support/roles.ts';
import { type CliUnderTest, cli, jsonLines, startCli } from './in-process.ts';

/** Archiving beside a server that serves, with the service's rights; one story from test to test. */
let dataDir: string;
let archives: string;
let database: TestDatabase;
let service: TestLogin;
let server: CliUnderTest | undefined;
let over: string;
let before: unknown[];

beforeAll(async () => {
  database = await createDatabase();
  await prepareDatabase(database.url, {}, pino({ level: 'silent' }));
  service = await createLogin(database.url, 'boxledger_service');
  dataDir = await mkdtemp(join(tmpdir(), 'boxledger-cli-archive-'));
  archives = join(dataDir, 'old');
  const flags = ['--listen', '127.0.0.1:0', '--driver', 'sim', '--checkpoint-every-ms', '50'];
  const started = startCli(['serve', '--json', ...flags, '--data-dir', dataDir, '--log-level', 'silent'], {
    env: { DATABASE_URL: service.url },
    server: { serve },
  });
  server = started;
  const early = await Promise.race([started.shown('"ready":true'), started.done]);
  if (early !== undefined) throw new Error(early.stderr);
});

afterAll(async () => {
  server?.signal('SIGTERM');
  await server?.done;
  await service.drop();
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const run = (...argv: string[]) => cli(argv, { env: { BOXLEDGER_DATA_DIR: dataDir } });
const asOwner = (...argv: string[]) =>
  cli(argv, {
    env: { DATABASE_URL: database.url },
    workingDir: dataDir,
    server: { archive: archiveLog, audit: openAudit },
  });
const events = async (...argv: string[]) => jsonLines((await run('events', '--json', ...argv)).stdout);

test('what would leave is said first, and nothing does', async () => {
  over = (await run('create', 'over')).stdout.trim();
  for (const argv of [
    ['start', 'over'],
    ['rm', '-f', 'over'],
    ['create', 'lasting'],
    ['start', 'lasting'],
  ])
    expect((await run(...argv)).code).toBe(0);
  await cutPartition(database.url);
  await run('stop', 'lasting');
  // Whoever else writes to this Postgres holds the end of the log back for as long.
  before = await eventually('the log to be read to its end', async () => {
    const lines = await events();
    return JSON.stringify(lines.at(-1)).includes('"box.stopped"') && lines;
  });
  const summary = await eventually('a partition is signed', async () => {
    const { stdout } = await asOwner('archive', '--before', 'now', '--dry-run', '--json');
    const lines = jsonLines(stdout) as { archives?: number; archived?: boolean }[];
    return lines.at(-1)?.archives === 1 && lines;
  });
  expect(summary[0]).toMatchObject({ archived: false, fromSequence: 1 });
  expect(await readdir(dataDir)).not.toContain('old');
});

test('it leaves, and is said where to', async () => {
  const { code, stdout } = await asOwner('archive', '--before', 'now', '--to', 'old');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^moved \d+ events of checkpoints 1 to \d+ to boxledger-0000000001-\d{10}\.ndjson\.gz\n/,
  );
  expect(stdout).toContain(`They are in ${archives}; keep them`);
  expect((await asOwner('archive', '--before', 'now', '--to', 'old')).stdout).toMatch(/^There is nothing/);
});

test('the server goes on, and boxes that live have their whole history', async () => {
  expect((await run('start', 'lasting')).code).toBe(0);
  expect((await run('stop', 'lasting')).code).toBe(0);
  const { stdout } = await run('events', 'lasting');
  expect(stdout).toMatch(/@1 {2}box\.created/);
  expect((await run('inspect', 'lasting', '--at', '1')).code).toBe(0);
});

test('what has left is refused by the name of its file, and read from it with --archive', async () => {
  const [file = ''] = await readdir(archives);
  const refused = await run('events', over);
  expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining(file) });
  expect(refused.stderr).toContain('--archive');
  expect(await run('events')).toMatchObject({ code: 125, stdout: '' });
  const ofOver = (lines: unknown[]) =>
    (lines as { streamId: string; cursor: unknown }[])
      .filter(({ streamId }) => streamId === `box/${over}`)
      .map((event) => ({ ...event, cursor: null }));
  expect(await events(over, '--archive', archives)).toEqual(ofOver(before));
});

test('archives and database are one log, in one order, also from a cursor on and by type', async () => {
  // What came after them is there once no older transaction on the server may still add to it.
  const all = await untilValue(
    async () => (await events('--archive', archives)) as { cursor: string; type: string }[],
    ({ length }) => length > before.length,
  );
  expect(all.slice(0, before.length)).toEqual(before);
  for (const at of [0, 3, before.length - 1])
    expect(await events('--archive', archives, '--since', all[at]?.cursor ?? '')).toEqual(all.slice(at + 1));
  expect(await events('--archive', archives, '--type', 'box.created')).toEqual(
    all.filter(({ type }) => type === 'box.created'),
  );
});

test('verify says what it was not given, by its exit code too, and verifies what it was', async () => {
  expect(await asOwner('audit', 'verify')).toMatchObject({
    code: 2,
    stdout: expect.stringMatching(/Not verified: \d+ events in archives that were not given \(boxledger-/),
  });
  expect((await asOwner('audit', 'verify', '--without-archives')).code).toBe(0);
  const whole = await asOwner('audit', 'verify', '--archive', 'old');
  expect(whole).toMatchObject({ code: 0, stdout: expect.stringMatching(/OK: the log is as it was written/) });
  const [file = ''] = await readdir(archives);
  expect((await asOwner('audit', 'verify', '--file', join('old', file))).code).toBe(0);
});

test('an export of what has left is refused; the rest is exported', async () => {
  const refused = await asOwner('audit', 'export', '--out', 'all.ndjson');
  expect(refused.code).toBe(125);
  const from = /--from (\d+)/.exec(refused.stderr)?.[1] ?? '';
  expect((await asOwner('audit', 'export', '--out', 'rest.ndjson', '--from', from)).code).toBe(0);
  expect((await asOwner('audit', 'verify', '--file', 'rest.ndjson')).code).toBe(0);
});

test('what cannot be is refused before anything is looked at', async () => {
  const refused = await asOwner('archive', '--before', 'some day');
  expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining('--before') });
  const gap = await run('events', '--archive', dataDir, '--archive', 'nowhere');
  expect(gap.code).toBe(125);
});
