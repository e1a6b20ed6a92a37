import { execFile } from 'node:child_process';
import { chown, cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boxId } from '../../../src/kernel/ids.ts';
import { type Bundle, bundle } from '../support/bundle.ts';
import { leavingsOf, makeDataDir, standInAgent } from '../support/process-harness.ts';

/** A user that has nothing on this machine. */
const nobody = 1_931_000_001;
const isRoot = process.getuid?.() === 0;

let program: Bundle;
let shutDisks: Bundle;
beforeAll(async () => {
  program = await bundle(new URL('../support/unprivileged-life.ts', import.meta.url));
  shutDisks = await bundle(new URL('../support/shut-disks.ts', import.meta.url));
});
afterAll(async () => {
  await program?.remove();
  await shutDisks?.remove();
});

/** Runs it as an ordinary user, on a data directory of that one's. */
const asNobody = async ({ path }: Bundle, dataDir: string, ...more: readonly string[]) => {
  await chown(dataDir, nobody, nobody);
  const agentPath = join(dataDir, 'agent.cjs');
  await cp(standInAgent, agentPath);
  const as = { uid: nobody, gid: nobody, cwd: '/' };
  return promisify(execFile)(process.execPath, [path, dataDir, agentPath, ...more], as);
};

for (const mode of ['', 'bwrap', 'unshare', 'plain'])
  test.skipIf(!isRoot)(
    `a service that is an ordinary user runs boxes in ${mode || 'its best'} mode`,
    async (context) => {
      const dataDir = await makeDataDir();
      try {
        const run = asNobody(program, dataDir, mode);
        const result = await run.catch((error: { readonly stderr?: string }) => error);
        if (mode !== '' && /Unsupported/.test(result.stderr ?? '')) return context.skip();
        if (!('stdout' in result)) throw result;
        const seen = JSON.parse(String(result.stdout));
        expect(seen).toMatchObject({
          isolation: { isolates: mode !== 'plain' && seen.isolation.isolates },
          usage: { processes: expect.any(Number), memoryBytes: expect.any(Number) },
          frozen: { kind: 'running', frozen: true },
          countedWhileFrozen: false,
          thawed: { kind: 'running', frozen: false },
          halfFrozen: { kind: 'running', frozen: true },
          halfThawed: { kind: 'running', frozen: true },
          ended: { kind: 'ended', exit: { kind: 'signal', signal: 'SIGKILL' } },
          exited: { kind: 'ended', exit: { kind: 'code', code: 3 } },
          copies: [true, true],
        });
        expect(seen.usage.memoryBytes).toBeGreaterThan(5 << 20);
        if (seen.isolation.isolates) {
          expect(seen.network).toEqual(['lo']);
          expect(seen.seesDataDir).toBe(false);
          expect(seen.status).toMatch(/^CapEff:\s+0+$/m);
        } else expect(seen.isolation.missing.join()).toContain('No namespaces');
        expect(await leavingsOf(dataDir, boxId(seen.id))).toEqual([]);
      } finally {
        await rm(dataDir, { recursive: true });
      }
    },
  );

test.skipIf(!isRoot)(
  'a box whose program shuts its home to itself is booted, kept, put back, copied and removed',
  async () => {
    const dataDir = await makeDataDir();
    try {
      const { stdout } = await asNobody(shutDisks, dataDir);
      expect(JSON.parse(stdout)).toEqual({
        shutMode: 0,
        modes: [0o555, 0o555, 0o555],
        leftAfterStart: ['disk', 'origin.json'],
        left: [],
      });
    } finally {
      await rm(dataDir, { recursive: true });
    }
  },
);
