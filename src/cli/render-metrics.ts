import type { JsonObject } from '../kernel/json.ts';
import type { BoxMetrics, BoxProcess, ServiceMetrics } from '../sdk/client.ts';
import { momentJson, numberJson } from './json-values.ts';
import { table } from './table.ts';
import { visible } from './visible.ts';

/** Figures of boxes, a line each. What is not known is `-`; those of a box that does not run are its last. */
export const metricsTable = (boxes: readonly BoxMetrics[]): string =>
  table(
    ['BOX ID', 'NAME', 'STATE', 'CPU %', 'MEM USAGE / LIMIT', 'MEM %', 'DISK READ / WRITE', 'PROCS', 'EXECS'],
    boxes.map((box) => [visible(box.boxId), visible(box.name), visible(box.state), ...figuresOf(box)]),
  );

/** For output that is not a terminal: each line says what and when by itself. */
export const metricsLine = (box: BoxMetrics): string => {
  const [cpu, memory, , disk, processes, execs] = figuresOf(box);
  const at = box.usage?.measuredAt?.toISOString() ?? '-';
  return [
    at,
    visible(box.name),
    visible(box.state),
    `cpu ${cpu}`,
    `mem ${memory}`,
    `disk ${disk}`,
    `procs ${processes}`,
    `execs ${execs}`,
  ].join('  ');
};

const figuresOf = ({ usage, execs }: BoxMetrics): readonly string[] => [
  usage?.cpuPercent === undefined ? '-' : `${usage.cpuPercent.toFixed(2)}%`,
  usage === undefined ? '-' : `${sizeText(usage.memoryBytes)} / ${sizeText(usage.memoryLimitBytes)}`,
  usage === undefined ? '-' : `${percentOf(usage.memoryBytes, usage.memoryLimitBytes)}%`,
  usage?.diskReadBytes === undefined
    ? '-'
    : `${sizeText(usage.diskReadBytes)} / ${sizeText(usage.diskWrittenBytes ?? 0n)}`,
  usage === undefined ? '-' : String(usage.processes),
  String(execs),
];

const percentOf = (part: bigint, whole: bigint): string =>
  whole === 0n ? '0' : ((100 * Number(part)) / Number(whole)).toFixed(2);

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `38.2MiB`, as Docker writes it. */
const sizeText = (bytes: bigint): string => {
  let [value, unit] = [Number(bytes), 0];
  for (; value >= 1024 && unit < units.length - 1; unit += 1) value /= 1024;
  return `${unit === 0 ? value : Number(value.toPrecision(4))}${units[unit]}`;
};

export const metricsJson = (box: BoxMetrics): JsonObject => ({
  boxId: box.boxId,
  name: box.name,
  state: box.state,
  generation: box.generation,
  usage:
    box.usage === undefined
      ? null
      : {
          measuredAt: momentJson(box.usage.measuredAt),
          cpuMs: numberJson(box.usage.cpuMs),
          cpuPercent: box.usage.cpuPercent ?? null,
          memoryBytes: numberJson(box.usage.memoryBytes),
          memoryLimitBytes: numberJson(box.usage.memoryLimitBytes),
          processes: box.usage.processes,
          diskReadBytes: ifKnown(box.usage.diskReadBytes),
          diskWrittenBytes: ifKnown(box.usage.diskWrittenBytes),
          networkReceivedBytes: ifKnown(box.usage.networkReceivedBytes),
          networkSentBytes: ifKnown(box.usage.networkSentBytes),
        },
  startStagesMs: mapJson(box.startStagesMs),
  execs: numberJson(box.execs),
  execErrors: numberJson(box.execErrors),
});

const ifKnown = (value: bigint | undefined) => (value === undefined ? null : numberJson(value));

const mapJson = (entries: Readonly<Record<string, bigint | number>>): JsonObject =>
  Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, numberJson(BigInt(value))]));

export const serviceMetricsJson = (service: ServiceMetrics): JsonObject => ({
  boxesByState: mapJson(service.boxesByState),
  countedSince: momentJson(service.countedSince),
  boxesCreated: numberJson(service.boxesCreated),
  startsFailed: numberJson(service.startsFailed),
  boxesStopped: numberJson(service.boxesStopped),
  execs: numberJson(service.execs),
  execErrors: numberJson(service.execErrors),
  effects: service.effects.map(({ kind, outcome, count }) => ({ kind, outcome, count: numberJson(count) })),
});

export const serviceMetricsText = (service: ServiceMetrics): string => {
  const states = Object.entries(service.boxesByState).sort(([a], [b]) => (a < b ? -1 : 1));
  const rows = [
    ...states.map(([state, count]) => [`now ${visible(state)}`, String(count)]),
    ['created', String(service.boxesCreated)],
    ['starts failed', String(service.startsFailed)],
    ['stopped', String(service.boxesStopped)],
    ['execs', String(service.execs)],
    ['exec errors', String(service.execErrors)],
    ...service.effects.map(({ kind, outcome, count }) => [
      `${visible(kind)} ${visible(outcome)}`,
      String(count),
    ]),
  ];
  return table(['WHAT', `SINCE ${service.countedSince?.toISOString() ?? '?'}`], rows);
};

export const processTable = (processes: readonly BoxProcess[]): string =>
  table(
    ['PID', 'HOST PID', 'HOST PPID', 'CPU TIME', 'MEM', 'STATE', 'COMMAND'],
    processes.map((process) => [
      String(process.pid),
      String(process.hostPid),
      String(process.hostParentPid),
      cpuTime(process.cpuMs),
      sizeText(process.memoryBytes),
      process.stopped ? 'stopped' : 'runs',
      visible(process.command),
    ]),
  );

export const processJson = (process: BoxProcess): JsonObject => ({
  pid: process.pid,
  hostPid: process.hostPid,
  hostParentPid: process.hostParentPid,
  cpuMs: numberJson(process.cpuMs),
  memoryBytes: numberJson(process.memoryBytes),
  stopped: process.stopped,
  command: process.command,
});

/** `0:07.35`: minutes, seconds and hundredths. */
const cpuTime = (ms: bigint): string => {
  const hundredths = Number(ms / 10n);
  const [minutes, rest] = [Math.floor(hundredths / 6_000), hundredths % 6_000];
  return `${minutes}:${(rest / 100).toFixed(2).padStart(5, '0')}`;
};
