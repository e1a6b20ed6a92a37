import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createDataDir, type DataDir, startServer, type TestServer } from '../support/server.ts';

/*
 * One large file through every process that takes part: client, server and agent. It is sparse, so it takes no disk, but
 * each of its zeros goes through three processes. It is larger than what any of them may take in all;
 * BOXLEDGER_TEST_COPY_MIB=5120 makes it 5 GiB, which takes a machine of two cores minutes.
 */
const mib = Number(process.env['BOXLEDGER_TEST_COPY_MIB'] ?? 256);
const memoryMaxMib = 220;
const timeoutMs = 10 * 60_000 * Math.max(1, mib / 256);

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));
/** Has a command say at its end what memory it has taken. */
const sayMemory = `data:text/javascript,process.on('exit',()=>console.error('peak',process.resourceUsage().maxRSS))`;

let database: TestDatabase;
let dataDir: DataDir;
let server: TestServer;

beforeAll(async () => {
  database = await createDatabase();
  dataDir = await createDataDir();
  server = await startServer({ dataDir: dataDir.path, databaseUrl: database.url });
  await cli('create', 'web');
});
afterAll(async () => {
  await cli('rm', '-f', 'web');
  await server.stop();
  await dataDir.remove();
  await database.drop();
});

const cli = async (...argv: string[]) => {
  const child = spawn(process.execPath, [bin, ...argv], {
    cwd: dataDir.path,
    env: { ...process.env, BOXLEDGER_DATA_DIR: dataDir.path, NODE_OPTIONS: `--import=${sayMemory}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  const [code] = await once(child, 'close');
  return { ...said, code, peakMib: Number(/peak (\d+)/.exec(said.stderr)?.[1]) / 1024 };
};

const peakMibIn = (status: string) => Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
const serverPeakMib = async () => peakMibIn(await readFile(`/proc/${server.pid}/status`, 'utf8'));
const agentPeakMib = async () => {
  const script = 'for p in /proc/[0-9]*; do grep -q agent.cjs $p/cmdline && cat $p/status; done';
  return peakMibIn((await cli('exec', 'web', 'sh', '-c', `${script} 2>/dev/null`)).stdout);
};

test(
  `${mib} MiB go into a box and out of it in bounded memory, and stay sparse`,
  async () => {
    const [source, back] = [join(dataDir.path, 'large'), join(dataDir.path, 'back')];
    const file = await open(source, 'w');
    await file.truncate(mib * 1024 * 1024);
    const marks = [0, Math.floor(mib / 2) * 1024 * 1024 + 12_345, mib * 1024 * 1024 - 4];
    for (const at of marks) await file.write('mark', at);
    await file.close();

    const before = await serverPeakMib();
    const into = await cli('cp', '--json', 'large', 'web:large');
    expect(into.code, into.stderr).toBe(0);
    const used = JSON.parse((await cli('exec', 'web', 'sh', '-c', 'du -k large | cut -f1')).stdout);
    const outOf = await cli('cp', 'web:large', 'back');
    expect(outOf.code, outOf.stderr).toBe(0);

    expect(used).toBeLessThan(1024);
    const found = await stat(back);
    expect({ size: found.size, isSparse: found.blocks < 2048 }).toEqual({
      size: mib * 1024 * 1024,
      isSparse: true,
    });
    const copy = await open(back, 'r');
    for (const at of marks)
      expect((await copy.read(Buffer.alloc(4), 0, 4, at)).buffer.toString()).toBe('mark');
    await copy.close();
    await rm(back);

    const peaks = { into: into.peakMib, outOf: outOf.peakMib, agent: await agentPeakMib() };
    const peak = Math.max(...Object.values(peaks));
    expect(peak, JSON.stringify(peaks)).toBeLessThan(memoryMaxMib);
    expect((await serverPeakMib()) - before).toBeLessThan(memoryMaxMib);
  },
  timeoutMs,
);
