import type { z } from 'zod';
import type { BoxUsage } from '../events/box-usage.ts';
import type {
  ConsoleResponse,
  MetricsResponse,
  ProcessesResponse,
  ServiceMetricsResponse,
  Usage,
} from '../gen/boxledger/v1/box_metrics.ts';
import { boxStream } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import { msOf } from '../kernel/time.ts';
import type { ApiDeps } from './api-deps.ts';
import { findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import type { consoleSchema, metricsSchema, processesSchema } from './requests.ts';

/** Figures of boxes and of the service. Nothing here starts a box, and nothing is gathered that nobody asks for. */

export const metrics =
  (deps: ApiDeps) =>
  async (
    { box: reference }: z.infer<typeof metricsSchema>,
    { caller }: CallScope,
  ): Promise<MetricsResponse> => {
    const box = await findBox(deps, caller.tenant, reference);
    const { boxId, name, view } = box;
    const [usage, started, { execs, errors }] = await Promise.all([
      deps.guests.usage(box),
      deps.history.lastOf(boxStream(boxId), 'box.started'),
      deps.execs.count(boxId),
    ]);
    return {
      boxId,
      name,
      state: view.state,
      generation: view.generation,
      usage: usage && encodeUsage(usage, view.options.memoryMib),
      startStagesMs: Object.fromEntries(
        Object.entries(started?.data.stagesMs ?? {}).map(([stage, ms]) => [stage, BigInt(ms)]),
      ),
      execs: BigInt(execs),
      execErrors: BigInt(errors),
    };
  };

const encodeUsage = (usage: BoxUsage, memoryMib: number): Usage => ({
  cpuMs: whole(usage.cpuMs),
  cpuPercent: usage.cpuPercent,
  memoryBytes: whole(usage.memoryBytes),
  memoryLimitBytes: BigInt(memoryMib) * 1024n * 1024n,
  processes: usage.processes,
  diskReadBytes: wholeIfKnown(usage.diskReadBytes),
  diskWrittenBytes: wholeIfKnown(usage.diskWrittenBytes),
  networkReceivedBytes: wholeIfKnown(usage.networkReceivedBytes),
  networkSentBytes: wholeIfKnown(usage.networkSentBytes),
  measuredAt: new Date(msOf(usage.measuredAt)),
});

const whole = (value: number): bigint => BigInt(Math.round(value));
const wholeIfKnown = (value: number | undefined) => (value === undefined ? undefined : whole(value));

export const serviceMetrics =
  (deps: ApiDeps) =>
  async (_request: object, { caller }: CallScope): Promise<ServiceMetricsResponse> => {
    const { since, boxesCreated, startsFailed, boxesStopped, execs, effects } = deps.counts;
    return {
      boxesByState: { ...(await deps.boxes.count(caller.tenant)) },
      countedSince: new Date(msOf(since)),
      boxesCreated: BigInt(boxesCreated),
      startsFailed: BigInt(startsFailed),
      boxesStopped: BigInt(boxesStopped),
      execs: BigInt(execs.execs),
      execErrors: BigInt(execs.errors),
      effects: effects.map(({ kind, end, count }) => ({ kind, outcome: end, count: BigInt(count) })),
    };
  };

export const processes =
  (deps: ApiDeps) =>
  async ({ box }: z.infer<typeof processesSchema>, { caller }: CallScope): Promise<ProcessesResponse> => {
    const { boxId } = await findBox(deps, caller.tenant, box);
    const found = await deps.guests.processes(boxId);
    return {
      processes: found.map(({ cpuMs, memoryBytes, command, ...process }) => ({
        ...process,
        cpuMs: whole(cpuMs),
        memoryBytes: whole(memoryBytes),
        command: command.toWellFormed().replaceAll('\0', ' '),
      })),
    };
  };

export const boxConsole = (deps: ApiDeps) =>
  async function* (
    { box, tailLines, follow }: z.infer<typeof consoleSchema>,
    { caller, signal }: CallScope,
  ): AsyncGenerator<ConsoleResponse> {
    const { boxId } = await findBox(deps, caller.tenant, box);
    const most = limits.consoleMaxBytes;
    if (!follow) {
      const text = lastLines(await deps.guests.console(boxId, most), tailLines);
      if (text !== '') yield { text };
      return;
    }
    let isFirst = true;
    for await (const part of deps.guests.followConsole(boxId, most, signal)) {
      const text = isFirst ? lastLines(part, tailLines) : part;
      isFirst = false;
      if (text !== '') yield { text };
    }
    signal.throwIfAborted();
  };

/** A line that has no end yet is one, too. */
const lastLines = (text: string, count: number | undefined): string => {
  if (count === undefined) return text;
  let from = text.endsWith('\n') ? text.length - 1 : text.length;
  for (let left = count; left > 0; left -= 1) {
    if (from <= 0) return text;
    from = text.lastIndexOf('\n', from - 1);
  }
  return count === 0 ? '' : text.slice(from + 1);
};
