import { readFile } from 'node:fs/promises';
import { Counter, Gauge, Histogram } from 'prom-client';
import { expect, test } from 'vitest';
import { openRegistry } from '../../src/main/metrics-registry.ts';

const typeOf = (metric: unknown): string => {
  if (metric instanceof Counter) return 'counter';
  if (metric instanceof Gauge) return 'gauge';
  return metric instanceof Histogram ? 'histogram' : 'unknown';
};

/** Of prom-client's metrics, what its types do not show. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

const described = (): readonly string[] =>
  openRegistry()
    .registry.getMetricsAsArray()
    .map((metric) => {
      const { name, help, labelNames } = metric as unknown as Described; // prom-client types it by its wire form
      const labels = labelNames.map((label) => `\`${label}\``).join(' ');
      return `| \`${name}\` | ${typeOf(metric)} | ${labels}${labels === '' ? '' : ' '}| ${help} |`;
    });

test('the table of metrics in the documents is what a server shows', async () => {
  const text = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => /^\| `(boxledger|grpc)_/.test(line));
  expect(rows).toEqual(described());
});

test('no label of a metric is one of which there may be any number', () => {
  const ids = described().filter((row) =>
    /`(box|box_id|exec_id|name|tenant|actor|host_id|command_id)`/.test(row),
  );
  expect(ids).toEqual([]);
});
