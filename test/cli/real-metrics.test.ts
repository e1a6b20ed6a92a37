import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonLines } from './in-process.ts';
import { type RealServer, startRealServer } from './real-server.ts';

/** Figures of real boxes, by a server with the service's rights, as users and Prometheus see them. */
let server: RealServer;
const sinkIn = (dataDir: string) => join(dataDir, 'sink');

beforeAll(async () => {
  server = await startRealServer((dataDir) => [
    ...['--metrics-address', '127.0.0.1:0'],
    ...['--checkpoint-sinks', sinkIn(dataDir)],
  ]);
});
afterAll(() => server.stop());

const run = (...argv: string[]) => server.run(...argv);

interface Stats {
  readonly state: string;
  readonly usage: { readonly cpuMs: number; readonly memoryBytes: number; readonly processes: number } | null;
  readonly startStagesMs: Readonly<Record<string, number>>;
  readonly execs: number;
  readonly execErrors: number;
}
const statsOf = async (box: string) => {
  const [stats] = jsonLines((await run('stats', '--json', box)).stdout) as Stats[];
  if (stats === undefined) throw new Error('no stats');
  return stats;
};

test('a box is measured while it runs, and has its last figures and its stages when it does not', async () => {
  await run('create', 'measured');
  expect(await statsOf('measured')).toMatchObject({
    state: 'configured',
    usage: null,
    startStagesMs: {},
    execs: 0,
  });
  await run('start', 'measured');
  expect((await run('exec', 'measured', 'true')).code).toBe(0);
  expect((await run('exec', 'measured', 'no-such-program')).code).toBe(127);
  const running = await statsOf('measured');
  expect(running).toMatchObject({ state: 'running', execs: 2, execErrors: 1 });
  expect(running.usage?.memoryBytes).toBeGreaterThan(1 << 20);
  expect(Object.keys(running.startStagesMs).sort()).toEqual(['disk', 'guest', 'queued', 'spawn']);
  expect((await run('top', 'measured')).stdout).toContain('agent.cjs');

  await run('stop', 'measured');
  const stopped = await statsOf('measured');
  expect(stopped).toMatchObject({ state: 'stopped', startStagesMs: running.startStagesMs, execs: 2 });
  expect(stopped.usage?.cpuMs).toBeGreaterThanOrEqual(running.usage?.cpuMs ?? Number.NaN);
  expect((await run('top', 'measured')).stdout.trim().split('\n')).toHaveLength(1);
  // To be asked for figures starts no box.
  expect(
    (await run('events', 'measured', '--type', 'box.startRequested')).stdout.trim().split('\n'),
  ).toHaveLength(1);
  expect((await run('logs', '-f', 'measured')).code).toBe(0);
});

test('a scrape shows what has happened, what is, and no name of a box', async () => {
  await run('create', 'scraped');
  await run('start', 'scraped');
  await run('exec', 'scraped', 'sh', '-c', 'exit 3');
  const answer = await fetch(`http://${server.metricsAddress}/metrics`);
  expect(answer.status).toBe(200);
  const text = await answer.text();
  const value = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length + 1),
    );
  expect(value('boxledger_boxes{state="running"}')).toBe(1);
  expect(value('boxledger_execs_ended_total{outcome="failed"}')).toBeGreaterThan(0);
  expect(value('boxledger_effects_total{kind="vm.boot",outcome="succeeded"}')).toBeGreaterThan(0);
  expect(value('boxledger_box_start_stage_duration_seconds_count{stage="queued"}')).toBeGreaterThan(0);
  expect(value('boxledger_append_batch_size_sum')).toBeGreaterThanOrEqual(
    value('boxledger_append_batch_size_count'),
  );
  expect(value('boxledger_log_lag_seconds')).toBeGreaterThanOrEqual(0);
  expect(value('boxledger_checkpoint_unsigned_events')).toBeGreaterThan(0);
  expect(value(`boxledger_checkpoint_sink_behind{sink="file:${sinkIn(server.dataDir)}"}`)).toBe(0);
  expect(value('boxledger_database_connections{state="idle"}')).toBeGreaterThan(0);
  expect(text).toContain('grpc_method="Start",grpc_code="OK"');
  expect(text).toContain('nodejs_eventloop_lag_seconds');
  expect(text).not.toMatch(/scraped|bx_|ex_/);
});
