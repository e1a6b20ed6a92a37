import type { Argument, Command } from 'commander';

interface Meant {
  /** As far as the words name one. */
  readonly command: Command;
  /** The last word, which is still being written. */
  readonly prefix: string;
  /** What the last word is, unless it is the name of a command. */
  readonly argument: Argument | undefined;
  /** Arguments of the command before it. */
  readonly earlier: readonly string[];
  /** Values of long options before it. */
  readonly flags: Readonly<Record<string, string>>;
}

/** What a command line that is being written means, by commander's own tree. */
export const meantBy = (program: Command, words: readonly string[]): Meant => {
  let command = program;
  let earlier: string[] = [];
  const flags: Record<string, string> = {};
  const prefix = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  for (let at = 0; at < before.length; at += 1) {
    const word = before[at] ?? '';
    if (word.startsWith('-') && word !== '-') {
      const [name = '', inline] = word.split('=', 2);
      const option = command.options.find(({ long, short }) => long === name || short === name);
      if (option === undefined || option.isBoolean()) continue;
      if (inline === undefined) at += 1;
      const value = inline ?? before[at];
      if (value !== undefined) flags[option.name()] = value;
      continue;
    }
    const next = earlier.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (next === undefined) earlier.push(word);
    else [command, earlier] = [next, []];
  }
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[earlier.length] ?? (last?.variadic ? last : undefined);
  return { command, prefix, argument, earlier, flags };
};
