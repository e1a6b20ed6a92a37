import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { errnoOf } from '../../src/kernel/errno.ts';
import { boxId as parseBoxId } from '../../src/kernel/ids.ts';
import { connect } from '../../src/sdk/client.ts';
import { leavingsOf } from '../drivers/support/process-harness.ts';
import { agentOf } from '../support/box-processes.ts';
import { codeOf, outputOf, typesOf } from '../support/box-stories.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { sql } from '../support/roles.ts';
import { createDataDir, processesOf, type ServerOptions, startServer } from '../support/server.ts';

const someDataDir = async () => {
  const dataDir = await createDataDir();
  onTestFinished(() => dataDir.remove());
  return dataDir.path;
};
const someDatabase = async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  return database.url;
};
const serve = async (options: ServerOptions) => {
  const server = await startServer(options);
  const client = connect({ address: server.address, retries: 0 });
  onTestFinished(async () => {
    client.close();
    await server.kill();
  });
  return { server, client };
};
/** What a server says that does not come to serve. */
const refusalOf = async (options: ServerOptions): Promise<string> => {
  const error = await startServer(options).then(
    async (server) => {
      await server.kill();
      return new Error('it served');
    },
    (reason: Error) => reason,
  );
  expect(error.message).toMatch(/^serve ended \([1-9]\d*\) before it was ready/);
  return error.message;
};
/** Processes of the embedded Postgres, which are known by where they work. */
const postgresOf = async (dataDir: string): Promise<string[]> => {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const place = await readlink(`/proc/${pid}/cwd`).catch(() => ''); // ended meanwhile
    if (place.startsWith(join(dataDir, 'postgres'))) found.push(pid);
  }
  return found;
};
const listening = async (server: Server) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
};

test('a second server on a data dir says whose it is and ends; the first serves on; then its embedded Postgres dies and comes back', async () => {
  const dataDir = await someDataDir();
  const { server, client } = await serve({ dataDir });
  const refusal = await refusalOf({ dataDir });
  expect(refusal).toContain(`in use by process ${server.pid}`);
  const { box } = await client.create({ name: 'first' });
  await client.start(box.boxId);
  expect(await outputOf(client, box.boxId, 'echo', ['here'])).toBe('here\n');

  const kill = (pid: string) => {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error; // it ended with another
    }
  };
  for (const pid of await postgresOf(dataDir)) kill(pid);
  await eventually(
    'commands are taken again',
    async () => (await codeOf(client.create({ name: 'second', commandId: 'second' }))) === 'ok',
  );
  await client.stop(box.boxId);
  expect(await typesOf(client, box.boxId)).toEqual([
    ...['box.created', 'box.startRequested', 'box.started', 'box.stopRequested', 'box.stopped'],
  ]);
  await client.remove(box.boxId);
  expect(await server.stop()).toBe(0);
  expect(await processesOf(dataDir)).toEqual([]);
  expect(await postgresOf(dataDir)).toEqual([]);
});

test('where the port is in use it says so, leaves nothing running and has changed nothing', async () => {
  const dataDir = await someDataDir();
  const untouched = await createDatabase();
  onTestFinished(() => untouched.drop());
  const other = createServer();
  const port = await listening(other);
  onTestFinished(() => void other.close());
  const refusal = await refusalOf({ dataDir, arguments: ['--listen', `127.0.0.1:${port}`] });
  expect(refusal).toContain(String(port));
  expect(refusal).toMatch(/in use/);
  expect(await processesOf(dataDir)).toEqual([]);
  expect(await postgresOf(dataDir)).toEqual([]);
  expect(existsSync(join(dataDir, 'server.json'))).toBe(false);
  await refusalOf({
    dataDir,
    databaseUrl: untouched.url,
    arguments: ['--listen', `127.0.0.1:${port}`],
  });
  expect(await sql(untouched.url, "SELECT FROM pg_namespace WHERE nspname LIKE 'boxledger%'")).toEqual([]);
  const { server } = await serve({ dataDir });
  expect(await server.stop()).toBe(0);
  expect(await postgresOf(dataDir)).toEqual([]);
});

test('where the database refuses connections it says so soon', async () => {
  const dataDir = await someDataDir();
  const databaseUrl = `postgres://nobody:secret@127.0.0.1:${await freePort()}/none`;
  const refusal = await refusalOf({ dataDir, databaseUrl });
  expect(refusal).toContain('the database cannot be reached');
  expect(refusal).not.toContain('secret');
  expect(await processesOf(dataDir)).toEqual([]);
});

test('where the database takes connections and says nothing it gives up in time', async () => {
  const dataDir = await someDataDir();
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  const port = await listening(silent);
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const refusal = await refusalOf({ dataDir, databaseUrl: `postgres://nobody@127.0.0.1:${port}/none` });
  expect(refusal).toContain('the database cannot be reached');
});

test('SIGTERM while effects are under way: it ends in good order, and the next start finishes them', async () => {
  const [dataDir, databaseUrl] = [await someDataDir(), await someDatabase()];
  const first = await serve({ dataDir, databaseUrl });
  const boxes = await Promise.all(
    ['slow-1', 'slow-2', 'fresh-1', 'fresh-2'].map(
      async (name) => (await first.client.create({ name })).box.boxId,
    ),
  );
  const [slow, fresh] = [boxes.slice(0, 2), boxes.slice(2)];
  await Promise.all(slow.map((boxId) => first.client.start(boxId)));
  for (const boxId of slow) process.kill(await agentOf(boxId), 'SIGSTOP');
  // Longer than a server that ends has time for.
  await Promise.all(slow.map((boxId) => first.client.stop(boxId, { guestTimeoutMs: 60_000, wait: false })));
  await Promise.all(fresh.map((boxId) => first.client.start(boxId, { wait: false })));
  const waiting = codeOf(first.client.wait(slow[0] ?? '', ['stopped']));
  const began = performance.now();
  expect(await first.server.stop()).toBe(0);
  const tookMs = Math.round(performance.now() - began);
  console.info(`ended ${tookMs} ms after SIGTERM`);
  expect(tookMs).toBeLessThan(40_000);
  expect(await waiting).toBe('Unavailable');

  const agents = await Promise.all(slow.map(agentOf));
  const next = await serve({ dataDir, databaseUrl });
  for (const pid of agents) process.kill(pid, 'SIGCONT');
  for (const boxId of fresh) await next.client.wait(boxId, ['running']);
  for (const boxId of slow) await next.client.wait(boxId, ['stopped']);
  const started = ['box.created', 'box.startRequested', 'box.started'];
  for (const boxId of fresh) expect(await typesOf(next.client, boxId)).toEqual(started);
  for (const boxId of slow) {
    expect(await typesOf(next.client, boxId)).toEqual([...started, 'box.stopRequested', 'box.stopped']);
    expect(await leavingsOf(dataDir, parseBoxId(boxId))).toEqual([]);
  }
  for (const boxId of boxes) await next.client.remove(boxId, { force: true });
  expect(await next.server.stop()).toBe(0);
  expect(await processesOf(dataDir)).toEqual([]);
});
