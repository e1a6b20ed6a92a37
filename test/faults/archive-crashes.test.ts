import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { archivesIn, matchArchives } from '../../src/audit/archive-dir.ts';
import { LogWithArchives } from '../../src/audit/log-with-archives.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { archiveCrashPoints } from '../../src/kernel/crash-point.ts';
import { PostgresAuditLog } from '../../src/store/postgres-audit-log.ts';
import { createArchiveDir, makeThreePartitions } from '../support/archived-log.ts';
import { createStore } from '../support/store.ts';

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));

/** How the command ends. */
const archive = async (
  databaseUrl: string,
  directory: string,
  crashAt = '',
): Promise<number | NodeJS.Signals> => {
  const flags = ['--before', 'now', '--database-url', databaseUrl, '--to', directory];
  const child = spawn(process.execPath, [bin, 'archive', ...flags], {
    stdio: 'ignore',
    env: { ...process.env, BOXLEDGER_CRASH_AT: crashAt },
  });
  const [code, signal] = await once(child, 'close');
  return signal ?? code;
};

test.each(archiveCrashPoints)(
  'a run that is killed at %s loses nothing, and the next goes on',
  async (point) => {
    const store = await createStore();
    const directory = await createArchiveDir();
    const verdict = async () => {
      const source = await PostgresAuditLog.open(store.databaseUrl);
      try {
        const records = await source.archives();
        const given = matchArchives(records, await archivesIn([directory.path]));
        return await verifyLog(new LogWithArchives(source, records, given));
      } finally {
        await source.close();
      }
    };
    try {
      await makeThreePartitions(store, store.databaseUrl);
      expect(await archive(store.databaseUrl, directory.path, `${point}:archive`)).toBe('SIGKILL');
      expect(await verdict()).toMatchObject({ events: 11, findings: [], archived: { files: [] } });
      expect(await archive(store.databaseUrl, directory.path)).toBe(0);
      expect(await verdict()).toMatchObject({ events: 11, findings: [], archived: { files: [] } });
      expect(await readdir(directory.path)).toEqual([
        expect.stringMatching(/^boxledger-0000000001-\d{10}\.ndjson\.gz$/),
        expect.stringMatching(/\.ndjson\.gz$/),
      ]);
    } finally {
      await directory.remove();
      await store.close();
    }
  },
);
