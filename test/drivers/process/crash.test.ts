import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { type BootStep, bootSteps } from '../../../src/drivers/supervised/boot.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { untilValue } from '../../support/eventually.ts';
import { type Bundle, bundle } from '../support/bundle.ts';
import {
  openProcessHarness,
  type ProcessHarness,
  processesOf,
  standInAgent,
  workingModes,
} from '../support/process-harness.ts';
import { never, newBoxId, specOf } from '../support/spec.ts';

let program: Bundle;
beforeAll(async () => {
  program = await bundle(new URL('../support/dying-driver.ts', import.meta.url));
});
afterAll(() => program?.remove());

// The shim is the same in all modes: the two that differ most will do.
const working = await workingModes();
for (const mode of new Set([working[0], working.at(-1)].flatMap((it) => it ?? [])))
  describe(`by ${mode}, a boot in which`, () => {
    let harness: ProcessHarness;
    beforeAll(async () => {
      harness = await openProcessHarness(mode);
    });
    afterAll(() => harness?.close());

    /** Lets a service of its own boot the box and die by kill -9 after the step. */
    const dieAfter = async (step: BootStep, id: BoxId, generation: number) => {
      const args = [harness.dataDir, standInAgent, mode, id, String(generation), step];
      const child = spawn(process.execPath, [program.path, ...args], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      const [, signal] = await once(child, 'exit');
      expect(signal).toBe('SIGKILL');
    };

    for (const step of bootSteps) {
      test(`the service was killed after step ${step} is made good by the next boot`, async () => {
        const id = newBoxId();
        await dieAfter(step, id, 1);
        const booted = await harness.driver.boot(specOf(id), never);
        expect(await harness.ask(id, '1 + 1')).toBe(2);
        expect(await harness.driver.observe(id)).toMatchObject({ kind: 'running', process: booted.process });
        expect(await runningAgents(id)).toBe(1);
        await harness.driver.kill(id);
        await untilValue(
          () => harness.leavings(id),
          (left) => left.length === 0,
        );
      });

      test(`the service was killed after step ${step} is undone by a kill`, async () => {
        const id = newBoxId();
        await dieAfter(step, id, 1);
        await harness.driver.kill(id);
        await untilValue(
          () => harness.leavings(id),
          (left) => left.length === 0,
        );
        expect((await harness.driver.observe(id)).kind).toMatch(/^(absent|ended)$/);
        await harness.driver.removeDisk(id);
        expect(await harness.driver.list()).not.toContain(id);
      });

      test(`the service was killed after step ${step} is found out by a look`, async () => {
        const id = newBoxId();
        await dieAfter(step, id, 1);
        const found = await harness.driver.observe(id);
        // Whatever a look says is so from then on.
        const running = found.kind === 'running' ? 1 : 0;
        // A shim that came too late is still to notice it.
        await untilValue(
          () => runningAgents(id),
          (count) => count === running,
        );
        if (step === 'up') expect(found.kind).toBe('running');
        await harness.driver.kill(id);
        await untilValue(
          () => harness.leavings(id),
          (left) => left.length === 0,
        );
      });

      test(`the caller gave up after step ${step} leaves nothing but the disk`, async () => {
        const id = newBoxId();
        const stop = new AbortController();
        const reason = new Error('stopped');
        const driver = await createProcessDriver({
          dataDir: harness.dataDir,
          agentPath: standInAgent,
          mode,
          passed: (passed) => {
            if (passed === step) stop.abort(reason);
          },
        });
        expect(await driver.boot(specOf(id), stop.signal).catch((error: unknown) => error)).toBe(reason);
        expect(await harness.leavings(id)).toEqual([]);
        expect(await driver.list()).toContain(id);
        expect((await driver.observe(id)).kind).toBe('absent');
      });
    }
  });

/** Processes of the box's agent; what is still on its way to become one counts. */
const runningAgents = async (id: BoxId): Promise<number> =>
  new Set((await processesOf(id)).map((line) => /shim-/.exec(line)?.[0]).filter(Boolean)).size;
