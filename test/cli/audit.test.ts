import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BoxId } from '../../src/kernel/ids.ts';
import { openAudit } from '../../src/main/open-audit.ts';
import { signAll, someKey } from '../support/audited.ts';
import { appendRandomLog } from '../support/random-log.ts';
import { createStore, type TestStore } from '../support/store.ts';
import { cli, jsonLines, startCli } from './in-process.ts';

const key = someKey();
let store: TestStore;
let boxes: readonly BoxId[];
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'boxledger-audit-'));
  store = await createStore();
  boxes = await appendRandomLog(store, { seed: 5, streams: 4, count: 40 });
  await signAll(store, key, 8);
  await appendRandomLog(store, { seed: 6, streams: 1, count: 2 });
  await writeFile(join(directory, 'key.pub'), `${key.publicKeyHex}\n`);
});
afterAll(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

const around = () => ({
  env: { DATABASE_URL: store.databaseUrl },
  workingDir: directory,
  server: { audit: openAudit },
});
const audit = (...argv: string[]) => cli(['audit', ...argv], around());
const box = () => boxes[0] ?? '';

test('verify says that the log is right, and exits 0', async () => {
  const { code, stdout, stderr } = await audit('verify', '--key', 'key.pub');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/Not signed yet: \d events?, /);
  expect(stdout).toMatch(/OK: the log is as it was written.\n$/);
  expect(stdout).not.toContain('--key');
});

test('on a terminal a bar shows how far it is, and is taken away', async () => {
  const { code, stderr } = await startCli(['audit', 'verify'], { ...around(), tty: true }).done;
  expect(code).toBe(0);
  expect(stderr).toMatch(/█+░* +\d+ % +\d+ events, /);
  expect(stderr.endsWith('\r\x1b[K')).toBe(true);
});

test('a key that did not sign is not taken at its word, and verify exits 1', async () => {
  await writeFile(join(directory, 'other.pub'), someKey().publicKeyHex);
  const { code, stdout } = await audit('verify', '--key', 'other.pub', '--json');
  expect(code).toBe(1);
  const [verdict] = jsonLines(stdout) as [{ ok: boolean; findings: { kind: string; checkpoint: number }[] }];
  expect(verdict.ok).toBe(false);
  expect(verdict.findings[0]).toMatchObject({ kind: 'forged', checkpoint: 1 });
});

test('an export is verified without a database', async () => {
  expect(await audit('export', '--out', 'whole.ndjson')).toEqual({ code: 0, stdout: '', stderr: '' });
  const offline = { workingDir: directory };
  const fine = await cli(['audit', 'verify', '--file', 'whole.ndjson', '--key', 'key.pub'], offline);
  expect(fine).toMatchObject({ code: 0, stdout: expect.stringContaining('OK: ') });
  const text = await readFile(join(directory, 'whole.ndjson'), 'utf8');
  await writeFile(join(directory, 'edited.ndjson'), text.replace('"id":"ada"', '"id":"eve"'));
  const edited = await cli(['audit', 'verify', '--file', 'edited.ndjson', '--key', 'key.pub'], offline);
  expect(edited).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^EDITED +box\/bx_\w+ version 1 at position 1: /),
  });
  await writeFile(join(directory, 'broken.ndjson'), text.slice(0, 1_000));
  const broken = await cli(['audit', 'verify', '--file', 'broken.ndjson'], offline);
  expect(broken).toMatchObject({ code: 125, stderr: expect.stringContaining('line 4: is not JSON') });
});

test('some checkpoints are exported and verified by themselves', async () => {
  await audit('export', '--from', '2', '--to', '3', '--out', 'part.ndjson');
  const { code, stdout } = await audit('verify', '--file', 'part.ndjson', '--key', 'key.pub');
  expect(stdout).toContain('16 events, 2 checkpoints');
  expect(code).toBe(0);
  const { code: none, stderr } = await audit('export', '--from', '99');
  expect(none).toBe(125);
  expect(stderr).toContain('no checkpoint 99');
});

test('one box is exported with its proofs, and verified in the database and out of it', async () => {
  expect(await audit('verify', box(), '--key', 'key.pub')).toMatchObject({ code: 0 });
  await audit('export', '--box', box(), '--out', 'box.ndjson');
  expect(await audit('verify', '--file', 'box.ndjson', '--key', 'key.pub')).toMatchObject({ code: 0 });
  const lines = (await readFile(join(directory, 'box.ndjson'), 'utf8')).trimEnd().split('\n');
  const second = lines.findIndex((line) => line.includes('"version":2'));
  await writeFile(join(directory, 'gap.ndjson'), `${lines.filter((_, at) => at !== second).join('\n')}\n`);
  const { code, stdout } = await audit('verify', '--file', 'gap.ndjson', '--key', 'key.pub');
  expect(code).toBe(1);
  expect(stdout).toContain(`MISSING    box/${box()} version 2: `);
});

test('a proof is checked with the key alone', async () => {
  await audit('prove', box(), '1', '--out', 'proof.json');
  const offline = { workingDir: directory };
  const check = (file: string, ...flags: string[]) =>
    cli(['audit', 'check-proof', file, '--key', 'key.pub', ...flags], offline);
  expect(await check('proof.json')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`box/${box()} version 1`),
  });
  const proof = await readFile(join(directory, 'proof.json'), 'utf8');
  await writeFile(join(directory, 'forged.json'), proof.replace('"id":"ada"', '"id":"eve"'));
  const forged = await check('forged.json', '--json');
  expect(forged.code).toBe(1);
  expect(jsonLines(forged.stdout)).toMatchObject([
    { ok: false, problem: 'the event is not what its hash says' },
  ]);
  expect(await check('whole.ndjson')).toMatchObject({ code: 125 });
});

test('what is not there, and what is not signed yet, cannot be proved', async () => {
  expect((await audit('prove', box(), '999')).stderr).toContain('There is no box/');
  expect((await audit('prove', 'nobody', '1')).stderr).toContain('There is no box nobody');
  const { rows } = await store.pool.query(
    'SELECT stream_id FROM boxledger.events ORDER BY position DESC LIMIT 1',
  );
  expect((await audit('prove', rows[0].stream_id, '1')).stderr).toContain('No checkpoint covers');
  expect((await audit('prove', box(), 'x')).stderr).toContain('version: must be a whole number');
});

test('verify --expect finds a log that was cut off behind a checkpoint that somebody kept', async () => {
  const [kept] = await store.checkpoints.from(2, 1);
  const line = `{"kind":"checkpoint","body":${kept?.body},"signature":"${kept?.signature}"}`;
  await writeFile(join(directory, 'kept.json'), line);
  expect(await audit('verify', '--expect', 'kept.json', '--key', 'key.pub')).toMatchObject({ code: 0 });
  await audit('export', '--to', '1', '--out', 'cut.ndjson');
  const cut = await audit('verify', '--file', 'cut.ndjson', '--expect', 'kept.json', '--key', 'key.pub');
  expect(cut).toMatchObject({ code: 1, stdout: expect.stringMatching(/^TRUNCATED +checkpoint 2: /) });
  await writeFile(join(directory, 'kept.json'), line.replace('"count":8', '"count":7'));
  expect(await audit('verify', '--expect', 'kept.json', '--key', 'key.pub')).toMatchObject({ code: 125 });
});

test('keys and status tell who has signed how far, and of a sink that fails', async () => {
  expect((await audit('keys')).stdout).toContain(key.publicKeyHex);
  await store.checkpoints.noteSent('file:/sink', 3);
  await store.checkpoints.noteFailure('https://sink', 'no route');
  const { stdout } = await audit('status');
  expect(stdout).toMatch(/^checkpoint \d of .* covers \d+ events\n\d events? not signed yet\n/);
  expect(stdout).toContain('sink file:/sink has everything up to checkpoint 3\n');
  expect(stdout).toMatch(/sink https:\/\/sink FAILS since .*, has up to 0: no route/);
});

test('where there is no log, that is said', async () => {
  const { code, stderr } = await cli(['audit', 'verify'], {
    workingDir: directory,
    server: { audit: openAudit },
  });
  expect(code).toBe(125);
  expect(stderr).toContain('there is no log in');
});
