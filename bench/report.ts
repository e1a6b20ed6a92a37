import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import type { Measurement } from './load.ts';

export interface Row extends Measurement {
  readonly benchmark: string;
  readonly subject: string;
  readonly callers: number;
}

/** What the figures were taken on: without it they mean nothing. */
export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryMib: number;
  readonly postgres: string;
}

export const describeMachine = (postgres: string): Machine => ({
  node: process.versions.node,
  platform: `${platform()} ${arch()}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cpus: availableParallelism(),
  memoryMib: Math.round(totalmem() / 1024 / 1024),
  postgres,
});

export const machineLine = (machine: Machine): string =>
  `Node ${machine.node}, PostgreSQL ${machine.postgres}, ${machine.cpus} × ${machine.cpu}, ` +
  `${machine.memoryMib} MiB, ${machine.platform}`;

const columns: readonly { readonly title: string; readonly cell: (row: Row) => string }[] = [
  { title: 'benchmark', cell: ({ benchmark }) => benchmark },
  { title: 'subject', cell: ({ subject }) => subject },
  { title: 'callers', cell: ({ callers }) => String(callers) },
  { title: 'operations', cell: ({ operations }) => String(operations) },
  { title: 'per second', cell: ({ perSecond }) => perSecond.toFixed(perSecond < 100 ? 1 : 0) },
  { title: 'p50 ms', cell: ({ p50Ms }) => p50Ms.toFixed(2) },
  { title: 'p99 ms', cell: ({ p99Ms }) => p99Ms.toFixed(2) },
];

/** The rows as a table: words to the left, figures to the right. */
export const table = (rows: readonly Row[]): string => {
  const lines = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => cell(row))),
  ];
  const widths = columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line.map((cell, column) => cell[column < 2 ? 'padEnd' : 'padStart'](widths[column] ?? 0)).join('  '),
    )
    .join('\n');
};
