import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';
import { type Figure, isMet, median } from './figure.ts';

/** What the figures were taken on: without it they mean nothing. */
export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMib: number;
  /** How many processes wanted a processor in the minute before: a machine with other work gives other figures. */
  readonly loadBefore: number;
  readonly postgres: string;
}

/** To be called before anything is measured. */
export const describeMachine = (): Omit<Machine, 'postgres'> => ({
  node: process.versions.node,
  platform: `${platform()} ${arch()}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cpus: availableParallelism(),
  memoryMib: Math.round(totalmem() / 1024 / 1024),
  loadBefore: loadavg()[0] ?? Number.NaN,
});

export const machineLine = (machine: Machine): string =>
  `Node ${machine.node}, PostgreSQL ${machine.postgres}, ${machine.cpus} × ${machine.cpu}, ` +
  `${machine.memoryMib} MiB, ${machine.platform}; load average before: ${machine.loadBefore.toFixed(1)}`;

const columns: readonly {
  readonly title: string;
  readonly align: 'left' | 'right';
  readonly cell: (figure: Figure) => string;
}[] = [
  { title: 'benchmark', align: 'left', cell: ({ benchmark }) => benchmark },
  { title: 'figure', align: 'left', cell: ({ subject }) => subject },
  { title: 'callers', align: 'right', cell: ({ callers }) => callers?.toString() ?? '' },
  { title: 'median', align: 'right', cell: ({ rounds, unit }) => `${number(median(rounds))} ${unit}` },
  { title: 'all rounds', align: 'right', cell: ({ rounds }) => (rounds.length > 1 ? range(rounds) : '') },
  { title: 'p50 ms', align: 'right', cell: ({ latency }) => (latency ? number(latency.p50Ms) : '') },
  { title: 'p99 ms', align: 'right', cell: ({ latency }) => (latency ? number(latency.p99Ms) : '') },
  { title: 'target', align: 'right', cell: (figure) => targetOf(figure) },
  {
    title: 'met',
    align: 'left',
    cell: (figure) => ({ true: 'yes', false: 'NO', undefined: '' })[`${isMet(figure)}`],
  },
];

const range = (rounds: readonly number[]): string =>
  `${number(Math.min(...rounds))} – ${number(Math.max(...rounds))}`;

const targetOf = ({ target, unit }: Figure): string => {
  if (target === undefined) return '';
  return 'atLeast' in target ? `≥ ${target.atLeast} ${unit}` : `≤ ${target.atMost} ${unit}`;
};

/** Three digits or all before the point; a dash for what no operation was quick enough to be measured for. */
const number = (value: number): string => {
  if (Number.isNaN(value)) return '–';
  const decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(decimals).replace(/\B(?=(\d{3})+$)/g, ' ');
};

/** A line for each figure, and an empty one before another benchmark. */
export const table = (figures: readonly Figure[]): string => {
  const lines = [
    columns.map(({ title }) => title),
    ...figures.map((figure) => columns.map(({ cell }) => cell(figure))),
  ];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line, index) => {
      const cells = columns.map(({ align }, column) =>
        (line[column] ?? '')[align === 'left' ? 'padEnd' : 'padStart'](widths[column] ?? 0),
      );
      const isFirst = line[0] !== lines[index - 1]?.[0];
      return `${isFirst && index > 0 ? '\n' : ''}${cells.join('  ').trimEnd()}`;
    })
    .join('\n');
};

/** What `--json` has of each figure. */
export const figureJson = (figure: Figure) => ({
  ...figure,
  subject: figure.subject.trim(),
  median: median(figure.rounds),
  met: isMet(figure),
});
