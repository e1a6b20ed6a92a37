import { Command } from 'commander';
import { type AskedFlags, askable, askedValue } from '../asked-value.ts';
import { mutationValue } from '../flag-values.ts';
import { addConnectionFlags, addVersionFlag, withExamples } from '../flags.ts';
import { diffJson, explainJson, whyJson } from '../history-json.ts';
import type { CliIo } from '../io.ts';
import { momentHelp, momentValue } from '../moment-value.ts';
import { diffText, explainText } from '../render-history.ts';
import { whyText } from '../render-why.ts';
import { type ConnectionFlags, inSession } from '../session.ts';

/** diff, why and explain: what changed, how it came about, and what would be. */
export const momentCommands = (io: CliIo): readonly Command[] => [
  diffCommand(io),
  whyCommand(io),
  explainCommand(io),
];

const diffCommand = (io: CliIo): Command => {
  const command = new Command('diff')
    .description('what differs between two moments of a box')
    .argument('<box>', 'name, id or prefix; a removed box by its whole id')
    .argument('<from>', momentHelp)
    .argument('[to]', 'the other moment (default: now)');
  addConnectionFlags(command).action(
    (box: string, from: string, to: string | undefined, flags: ConnectionFlags) =>
      inSession(io, flags, {
        name: 'diff',
        read: (faults) => {
          const nowMs = Date.now();
          return {
            from: momentValue(faults, '<from>', from, nowMs) ?? 0n,
            to: momentValue(faults, '[to]', to, nowMs),
          };
        },
        work: async ({ client, signal, json, output }, moments) => {
          const found = await client.history.diff(box, moments.from, moments.to, { signal });
          await (json ? output.json(diffJson(found)) : output.line(diffText(found)));
          return 0;
        },
      }),
  );
  return withExamples(command, 'boxledger diff web 3 7', 'boxledger diff web 1h');
};

interface WhyFlags extends ConnectionFlags {
  readonly event?: string;
  readonly commandId?: string;
}

const whyCommand = (io: CliIo): Command => {
  const command = new Command('why')
    .description(
      'how a box came to be as it is: from the request by way of events and effects to their outcomes',
    )
    .argument('<box>', 'name, id or prefix; a removed box by its whole id')
    .option('--event <version>', 'how the event at this version came about (default: the last)')
    .option('--command-id <id>', 'what this command led to');
  addConnectionFlags(command).action((box: string, flags: WhyFlags) =>
    inSession(io, flags, {
      name: 'why',
      read: (faults) => {
        const { event, commandId } = flags;
        if (event !== undefined && !/^[1-9]\d{0,17}$/.test(event))
          faults.add('--event', `must be a version such as 4, not ${JSON.stringify(event)}`);
        if (event !== undefined && commandId !== undefined)
          faults.add('--event', 'cannot be had with --command-id');
        const { commandId: checked } = mutationValue(faults, flags);
        return { version: event === undefined ? undefined : versionOf(event), commandId: checked };
      },
      work: async ({ client, signal, json, output }, about) => {
        const found = await client.history.why(box, { ...about, signal });
        await (json ? output.json(whyJson(found)) : output.line(whyText(found)));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger why web', 'boxledger why web --event 3 --json');
};

const versionOf = (text: string): bigint | undefined => (/^\d+$/.test(text) ? BigInt(text) : undefined);

interface ExplainFlags extends ConnectionFlags, AskedFlags {
  readonly expectedVersion?: string;
}

const explainCommand = (io: CliIo): Command => {
  const command = new Command('explain')
    .description('what a command would lead to now; changes nothing, and exits with 1 if it would be refused')
    .argument('<box>', 'name, id or prefix')
    .argument('<command>', `one of ${askable.join(', ')}`)
    .argument(
      '[argument...]',
      'of exec: the program and its arguments, after -- if any begins with a dash; of others: names',
    )
    .option('-t, --timeout <seconds>', 'of stop and restart: how long the box has to end by itself')
    .option('--max-duration <duration>', 'of pause: resumed by itself after so long')
    .option('--to-disk', 'of pause: keep the memory on disk')
    .option('-n, --count <n>', 'of clone: how many, where no names are given')
    .option('-f, --force', 'of rm: stop a box that runs first')
    .option('--no-auto-start', 'of exec: refuse when the box would have to be started first');
  addConnectionFlags(addVersionFlag(command)).action(
    (box: string, verb: string, given: string[], flags: ExplainFlags) =>
      inSession(io, flags, {
        name: 'explain',
        read: (faults) => ({
          asked: askedValue(faults, [verb, ...given], flags),
          expectedVersion: mutationValue(faults, flags).expectedVersion,
        }),
        work: async ({ client, signal, json, output }, { asked, expectedVersion }) => {
          const found = await client.history.explain(box, asked, { expectedVersion, signal });
          const { text, code } = explainText(found);
          await (json ? output.json(explainJson(found)) : output.line(text));
          return code;
        },
      }),
  );
  return withExamples(
    command,
    'boxledger explain web stop',
    'boxledger explain web rm -f --json',
    'boxledger explain web snapshot create before-upgrade',
    'boxledger explain web exec -- ls -l',
  );
};
