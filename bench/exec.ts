import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProcessDriver } from '../src/drivers/process/process-driver.ts';
import { BullmqEffectQueue } from '../src/effects/bullmq-queue.ts';
import { postgresCarrier } from '../src/effects/postgres-carrier.ts';
import { noCrash } from '../src/kernel/crash-point.ts';
import { openPendingImports } from '../src/main/pending-imports.ts';
import { openPlane } from '../src/main/plane.ts';
import { randomIds } from '../src/main/random-ids.ts';
import { type Client, connect } from '../src/sdk/client.ts';
import { openStore } from '../src/store/store.ts';
import type { Benchmark, Setting } from './benchmark.ts';
import { type Operation, whole } from './callers.ts';
import type { Figure } from './figure.ts';
import { latencyOf, seriesOf, sideBySide } from './side-by-side.ts';

const program = 'true';
const subject = 'exec in a running box';
const peer = 'the same program as a child process';
/** What an exec may take longer than a bare child process. */
const overheadMaxMs = 10;

/** A program run to its end through the API, on record and in a real box, beside the bare program. */
export const benchExec: Benchmark = async (setting) => {
  const { client, box, close } = await openBox(setting);
  const subjects = new Map([
    [subject, execIn(client, box)],
    [peer, bare],
  ]);
  const figures: Figure[] = [];
  for (const callers of setting.callerCounts) {
    const rounds = await sideBySide(subjects, callers, setting);
    const common = { benchmark: 'exec', callers } as const;
    for (const name of subjects.keys()) {
      const series = seriesOf(rounds, name, whole);
      const perSecond = series.map((measured) => measured.perSecond);
      figures.push({ ...common, subject: name, unit: '/s', rounds: perSecond, latency: latencyOf(series) });
    }
    const others = seriesOf(rounds, peer, whole);
    const overheads = seriesOf(rounds, subject, whole).map(
      ({ p50Ms }, round) => p50Ms - (others[round]?.p50Ms ?? Number.NaN),
    );
    const target = callers === 1 ? { atMost: overheadMaxMs } : undefined;
    figures.push({ ...common, subject: '  overhead, p50', unit: 'ms', rounds: overheads, target });
  }
  await close();
  return figures;
};

const execIn =
  (client: Client, box: string): Operation =>
  async () => {
    const exec = client.exec(box, program);
    void exec.endStdin();
    for await (const _ of exec);
    return {};
  };

const bare: Operation = async () => {
  const child = spawn(program, { stdio: 'pipe' });
  child.stdout.resume();
  child.stderr.resume();
  await once(child, 'close');
  return {};
};

/** A server with one box of the `process` driver that is up. */
const openBox = async ({ databaseUrl, log, signal }: Setting) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'boxledger-bench-'));
  const store = await openStore({ databaseUrl, log });
  await store.migrate();
  const queue = new BullmqEffectQueue(await postgresCarrier(databaseUrl, log), { log });
  const agentPath = fileURLToPath(new URL('../dist/agent/agent.cjs', import.meta.url));
  const plane = await openPlane({
    ...{ store, queue, hostId: randomIds.hostId(), token: undefined, log, crash: noCrash, signal },
    driver: await createProcessDriver({ dataDir, agentPath, mode: undefined }),
    pendingImports: await openPendingImports(dataDir),
    localActor: { kind: 'system', id: 'bench' },
  });
  const client = connect({ address: await plane.api.listen('127.0.0.1:0') });
  const { boxId } = (await client.create({ name: 'bench' })).box;
  await client.start(boxId);
  return {
    client,
    box: boxId,
    close: async () => {
      await client.remove(boxId, { force: true });
      client.close();
      await plane.close();
      await queue.close();
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
};
