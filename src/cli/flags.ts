import type { Command } from 'commander';

/** How streams are named. */
export const streamNames = 'box/…, exec/…, copy/… or host/…';

/** Collects an option that may be given several times. */
export const repeatable = (value: string, earlier: readonly string[] = []): readonly string[] => [
  ...earlier,
  value,
];

export const addConnectionFlags = (command: Command): Command =>
  command
    .option('--addr <host:port>', 'server to talk to (else BOXLEDGER_ADDR, else the one of the data dir)')
    .option('--data-dir <dir>', 'data dir of a server on this machine (else BOXLEDGER_DATA_DIR)')
    .option('--token-file <file>', 'file with the bearer token (else BOXLEDGER_TOKEN_FILE)')
    .option('--actor <name>', 'who the events say has asked (else BOXLEDGER_ACTOR, else the user)')
    .option('--json', 'print JSON: one object, or one a line for lists and streams; errors as well');

export const addMutationFlags = (command: Command): Command =>
  command
    .option('--command-id <id>', 'repeating the command with the same id changes nothing twice')
    .option('--reason <text>', 'why; kept with the events');

export const addVersionFlag = (command: Command): Command =>
  command.option('--expected-version <n>', "refuse unless the box's stream is at this version");

export const addConsistencyFlag = (command: Command): Command =>
  command.option(
    '--consistency <wish>',
    'best-effort, or required: refuse where the file systems of a box that runs cannot be frozen',
  );

export interface MutationFlags {
  readonly commandId?: string;
  readonly reason?: string;
  readonly expectedVersion?: string;
}

/** An example at the end of a command's help. */
export const withExamples = (command: Command, ...examples: readonly string[]): Command =>
  command.addHelpText(
    'after',
    `\n${examples.length === 1 ? 'Example' : 'Examples'}:\n${examples.map((example) => `  $ ${example}\n`).join('')}`,
  );
