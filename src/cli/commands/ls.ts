import { Command } from 'commander';
import { limits } from '../../kernel/limits.ts';
import type { Box } from '../../sdk/client.ts';
import { type FlagFaults, numberValue } from '../flag-values.ts';
import { addConnectionFlags, repeatable, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { boxJson } from '../json-forms.ts';
import { timeValue } from '../moment-value.ts';
import { boxTable } from '../render-box.ts';
import { type ConnectionFlags, inSession } from '../session.ts';
import { visible } from '../visible.ts';

interface LsFlags extends ConnectionFlags {
  readonly all?: boolean;
  readonly filter?: readonly string[];
  readonly quiet?: boolean;
  readonly limit?: string;
  readonly at?: string;
}

export const lsCommand = (io: CliIo): Command => {
  const command = new Command('ls')
    .alias('ps')
    .description('list boxes, oldest first')
    .option('-a, --all', 'removed ones as well')
    .option(
      '-f, --filter <k=v>',
      'state=STATE (any of several), label=KEY=VALUE (all), name=PREFIX',
      repeatable,
    )
    .option('-q, --quiet', 'only the ids')
    .option('-n, --limit <n>', 'at most so many')
    .option('--at <time>', 'as they were then: 2026-11-25T12:00:00Z, or so long ago: 90s, 5m, 1h30m, 2d');
  addConnectionFlags(command).action((flags: LsFlags) => list(io, flags));
  return withExamples(
    command,
    'boxledger ls --filter state=running --filter label=team=shop',
    'boxledger ls --at 2h',
  );
};

const list = (io: CliIo, flags: LsFlags) =>
  inSession(io, flags, {
    name: 'ls',
    read: (faults) => ({
      filter: filterValue(faults, flags.filter ?? []),
      at: timeValue(faults, '--at', flags.at, Date.now()),
      limit: numberValue(faults, '--limit', flags.limit, { whole: true, min: 1 }),
    }),
    work: async ({ client, signal, json, output }, { filter, at, limit }) => {
      const includeRemoved = flags.all === true || filter.states.includes('removed');
      const pageSize = Math.min(limit ?? limits.pageSizeDefault, limits.pageSizeDefault);
      const shown: Box[] = [];
      let count = 0;
      const query = { ...filter, includeRemoved, pageSize, signal };
      for await (const box of at === undefined ? client.list(query) : client.history.listAt(at, query)) {
        if (json) await output.json(boxJson(box));
        else if (flags.quiet === true) await output.line(visible(box.boxId));
        else shown.push(box);
        count += 1;
        if (count === limit) break;
      }
      if (!json && flags.quiet !== true) await output.line(boxTable(shown, at?.getTime() ?? Date.now()));
      return 0;
    },
  });

const filterValue = (faults: FlagFaults, texts: readonly string[]) => {
  const states: string[] = [];
  const labels = new Map<string, string>();
  let namePrefix: string | undefined;
  for (const text of texts) {
    const [, key, value = ''] = /^([a-z]+)=(.+)$/s.exec(text) ?? [];
    const [, label, wanted = ''] = /^([^=]+)=(.*)$/s.exec(value) ?? [];
    if (key === 'state') states.push(value);
    else if (key === 'name') namePrefix = value;
    else if (key === 'label' && label !== undefined) labels.set(label, wanted);
    else
      faults.add(
        '--filter',
        `must be state=STATE, label=KEY=VALUE or name=PREFIX, not ${JSON.stringify(text)}`,
      );
  }
  return { states, labels: Object.fromEntries(labels), namePrefix };
};
