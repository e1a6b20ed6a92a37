import { expect, test } from 'vitest';
import type { PreviewFinding } from '../../src/cli/server-commands.ts';
import { cli, jsonLines } from './in-process.ts';

test('rebuild makes all projections again, or the one that is named', async () => {
  const asked: unknown[] = [];
  const server = {
    rebuild: async (
      _options: unknown,
      { only, folded }: { only: unknown; folded: (streams: number) => void },
    ) => {
      asked.push(only);
      folded(7);
      return { streams: 7 };
    },
  };
  expect(await cli(['rebuild'], { server })).toEqual({
    code: 0,
    stdout: 'Made heads and boxes again from 7 streams.\n',
    stderr: '',
  });
  const json = await cli(['rebuild', '--projection', 'boxes', '--json'], { server });
  expect(jsonLines(json.stdout)).toEqual([{ projections: ['boxes'], streams: 7 }]);
  expect(asked).toEqual([undefined, 'boxes']);
  expect(await cli(['rebuild', '--projection', 'all'], { server })).toMatchObject({ code: 125 });
});

test('rebuild counts on a terminal what it has folded', async () => {
  const server = {
    rebuild: async (_options: unknown, { folded }: { folded: (streams: number) => void }) => {
      await new Promise((resolve) => setImmediate(resolve));
      folded(41);
      return { streams: 42 };
    },
  };
  const { stdout, stderr } = await cli(['rebuild'], { server, tty: true });
  expect(stdout).toBe('Made heads and boxes again from 42 streams.\n');
  expect(stderr).toContain('Folding streams');
});

const findings: readonly PreviewFinding[] = [
  {
    boxId: 'bx_0123456789abcdef',
    name: 'web',
    version: 3n,
    kind: 'differs',
    changes: [{ path: 'view.state', before: 'running', after: undefined }],
  },
  {
    boxId: 'bx_0123456789abcdeg',
    name: 'db',
    version: 9n,
    kind: 'unfoldable',
    problem: 'cannot take box.paused',
  },
];

test('preview lists every box that would be another, and exits with 1', async () => {
  let asked: { databaseUrl: unknown; machine: unknown } | undefined;
  const server = {
    preview: async (
      { databaseUrl }: { databaseUrl?: unknown },
      { machine, report }: { machine: unknown; report: (finding: PreviewFinding) => Promise<void> },
    ) => {
      asked = { databaseUrl, machine };
      for (const finding of findings) await report(finding);
      return { boxes: 5, differing: 2, otherChart: 5 };
    },
  };
  const url = 'postgres://localhost/boxledger';
  expect(
    await cli(['preview', '--against', url, '--machine', 'next.mjs'], { server, workingDir: '/srv' }),
  ).toEqual({
    code: 1,
    stderr: '',
    stdout: [
      'web (bx_0123456789abcdef, version 3)',
      '  view.state: "running" → nothing',
      'db (bx_0123456789abcdeg, version 9)',
      '  cannot be folded: cannot take box.paused',
      'Looked at 5 live boxes: 2 would be another.',
      'Heads made by another statechart, which are folded afresh when used: 5.',
      '',
    ].join('\n'),
  });
  expect(asked).toEqual({ databaseUrl: url, machine: '/srv/next.mjs' });
  expect(jsonLines((await cli(['preview', '--json'], { server })).stdout)).toMatchObject([
    { kind: 'differs', version: 3, changes: [{ path: 'view.state', before: 'running' }] },
    { kind: 'unfoldable' },
    { boxes: 5, differing: 2, otherChart: 5 },
  ]);
});

test('preview exits with 0 when every box would be as it is', async () => {
  const server = { preview: async () => ({ boxes: 5, differing: 0, otherChart: 0 }) };
  expect(await cli(['preview'], { server })).toEqual({
    code: 0,
    stdout: 'Looked at 5 live boxes: none would be another.\n',
    stderr: '',
  });
});
