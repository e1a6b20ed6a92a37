import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkpointCrashPoints } from '../../src/kernel/crash-point.ts';
import { verifyDatabase } from '../support/audited.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createDataDir, startServer } from '../support/server.ts';

test.each(checkpointCrashPoints)(
  'a server that is killed at %s signs on after its next start, and sends what it had not',
  async (point) => {
    const database = await createDatabase();
    const dataDir = await createDataDir();
    const sink = join(dataDir.path, 'sink');
    const options = {
      dataDir: dataDir.path,
      databaseUrl: database.url,
      driver: 'sim',
      arguments: ['--checkpoint-every-ms', '50', '--checkpoint-sinks', sink],
    } as const;
    try {
      // A host's joining is an event, so there is something to sign from the start.
      const first = await startServer({ ...options, crashAt: `${point}:checkpoint` }).catch(() => undefined);
      if (first !== undefined) expect(await first.ended).toBe('SIGKILL');
      const second = await startServer(options);
      const verdict = await eventually('all is signed and sent', async () => {
        const seen = await verifyDatabase(database.url);
        const sent = await readdir(sink).catch(() => []);
        return seen.unsealed === 0 && seen.checkpoints > 0 && sent.length === seen.checkpoints && seen;
      });
      expect(verdict.findings).toEqual([]);
      expect(await second.stop()).toBe(0);
    } finally {
      await dataDir.remove();
      await database.drop();
    }
  },
);
