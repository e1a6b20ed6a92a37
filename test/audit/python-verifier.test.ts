import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExportFile } from '../../src/audit/export-file.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { exportTo, signAll, someKey } from '../support/audited.ts';
import { appendRandomLog } from '../support/random-log.ts';
import { createStore } from '../support/store.ts';

const run = promisify(execFile);
const verifier = fileURLToPath(new URL('../verifier/verify.py', import.meta.url));
const vectors = fileURLToPath(new URL('../vectors', import.meta.url));

/** Exit code and output of the verifier that was written from the document alone. */
const python = async (...args: string[]): Promise<{ code: number; stdout: string }> => {
  try {
    const { stdout } = await run('python3', ['-B', verifier, ...args]);
    return { code: 0, stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout: stdout + stderr };
  }
};

const hasPython = await run('python3', ['-c', 'import hashlib, json, decimal']).then(
  () => true,
  () => false,
);

// The other language is Python: there is nothing to compare with where it is not installed.
const withPython = test.skipIf(!hasPython);

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'boxledger-verifier-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

withPython('a verifier in Python, written from the document, agrees with the vectors', async () => {
  expect(await python('vectors', vectors)).toEqual({ code: 0, stdout: 'ok 6 2 1\n' });
});

withPython(
  'and with ours on an export of a thousand random boxes, also where one byte was changed',
  async () => {
    const store = await createStore();
    const key = someKey();
    await appendRandomLog(store, { seed: 1000, streams: 1_000, count: 2_500 });
    await signAll(store, key, 300);
    await appendRandomLog(store, { seed: 7, streams: 3, count: 10 });
    const text = await exportTo(store.databaseUrl);
    await store.close();
    const file = join(directory, 'export.ndjson');
    await writeFile(file, text);
    const verdict = await verifyLog(await ExportFile.open(file));
    expect(verdict.findings).toEqual([]);
    const { events, checkpoints, unsealed } = verdict;
    const agreed = { code: 0, stdout: `ok ${events} ${checkpoints} ${unsealed}\n` };
    expect(await python('export', file, key.publicKeyHex)).toEqual(agreed);

    const changed = text.replace('"health":"healthy"', '"health":"Healthy"');
    await writeFile(file, changed);
    expect((await verifyLog(await ExportFile.open(file))).findings).not.toEqual([]);
    expect((await python('export', file, key.publicKeyHex)).code).toBe(1);
    expect((await python('export', file, someKey().publicKeyHex)).code).toBe(1);
  },
);
