import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, connect } from '../../src/sdk/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createDataDir, processesOf, startServer } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** An archive of a box that has a file, and that box removed again. */
const archiveOf = async (client: Client, name: string): Promise<Buffer> => {
  await client.create({ name });
  for await (const _ of client.exec(name, 'sh', { args: ['-c', 'echo precious > note'] }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await client.disks.export(name)).bytes) chunks.push(chunk);
  await client.remove(name, { force: true });
  return Buffer.concat(chunks);
};

const noteOf = async (client: Client, box: string): Promise<string> => {
  let note = '';
  for await (const output of client.exec(box, 'cat', { args: ['note'] }))
    if (output.kind === 'stdout') note += Buffer.from(output.data).toString();
  return note;
};

const once = async function* (bytes: Uint8Array) {
  yield bytes;
};

test.each(['append.before:box.import', 'append.after:box.import'])(
  'a server that is killed at %s leaves no disk that no box has, and the import can be asked for again',
  async (at) => {
    const dataDir = await createDataDir();
    const disks = () => readdir(join(dataDir.path, 'boxes'));
    const start = (crashAt?: string) =>
      startServer({ dataDir: dataDir.path, databaseUrl: database.url, ...(crashAt && { crashAt }) });
    try {
      const name = at.replaceAll(/[.:]/g, '-');
      const first = await start(at);
      const before = connect({ address: first.address, retries: 0 });
      const archive = await archiveOf(before, `${name}-source`);
      const disksBefore = await disks();
      const asked = { name, commandId: `import-${name}` };
      await expect(before.disks.import(once(archive), asked)).rejects.toMatchObject({ code: 'Unavailable' });
      before.close();
      expect(await first.ended).toBe('SIGKILL');
      expect(await disks()).toHaveLength(disksBefore.length + 1);

      const second = await start();
      const after = connect({ address: second.address });
      const isRecorded = at.startsWith('append.after');
      expect(await disks()).toHaveLength(disksBefore.length + (isRecorded ? 1 : 0));
      expect(await readdir(join(dataDir.path, 'pending-imports'))).toEqual([]);
      const box = await after.disks.import(once(archive), asked);
      expect(box).toMatchObject({ name, state: 'stopped', version: 1n });
      expect(await after.disks.import(once(archive), asked)).toEqual(box);
      expect(await noteOf(after, name)).toBe('precious\n');
      await after.remove(name, { force: true });
      after.close();
      await second.stop();
      expect(await processesOf(dataDir.path)).toEqual([]);
    } finally {
      await dataDir.remove();
    }
  },
);
