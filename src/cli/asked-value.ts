import type { Asked } from '../sdk/history.ts';
import { durationMsValue, type FlagFaults, numberValue, secondsValue } from './flag-values.ts';

/** Options of the commands that `explain` knows. */
export interface AskedFlags {
  readonly timeout?: string;
  readonly maxDuration?: string;
  readonly count?: string;
  readonly force?: boolean;
  readonly toDisk?: boolean;
  readonly autoStart?: boolean;
}

/** What follows the verb. */
interface Given {
  readonly faults: FlagFaults;
  readonly names: readonly string[];
  readonly flags: AskedFlags;
}

interface Verb {
  /** Of the flags above, those that it has. */
  readonly flags?: readonly (keyof AskedFlags)[];
  /** What its arguments are called, and how many it takes at least and at most; none when not given. */
  readonly takes?: { readonly what: string; readonly least: number; readonly most: number };
  readonly asked: (given: Given) => Asked;
}

const many = Number.POSITIVE_INFINITY;
const nothing = {};
const timeoutOf = ({ faults, flags }: Given) => secondsValue(faults, '--timeout', flags.timeout);
const oneName = (what: string, least = 1) => ({ what, least, most: 1 });
const nameOf = ({ names }: Given) => names[0] ?? '';

const verbs: Readonly<Record<string, Verb>> = {
  start: { asked: () => ({ $case: 'start', value: nothing }) },
  stop: {
    flags: ['timeout'],
    asked: (given) => ({ $case: 'stop', value: { timeoutMs: timeoutOf(given) } }),
  },
  restart: {
    flags: ['timeout'],
    asked: (given) => ({ $case: 'restart', value: { timeoutMs: timeoutOf(given) } }),
  },
  pause: {
    flags: ['maxDuration', 'toDisk'],
    asked: ({ faults, flags }) => {
      const ms = durationMsValue(faults, '--max-duration', flags.maxDuration);
      return {
        $case: 'pause',
        value: { maxDurationMs: ms === undefined ? undefined : BigInt(ms), toDisk: flags.toDisk === true },
      };
    },
  },
  resume: { asked: () => ({ $case: 'resume', value: nothing }) },
  rm: {
    flags: ['force'],
    asked: ({ flags }) => ({ $case: 'remove', value: { force: flags.force === true } }),
  },
  rename: {
    takes: oneName('[name]'),
    asked: (given) => ({ $case: 'rename', value: { name: nameOf(given) } }),
  },
  'snapshot create': {
    takes: oneName('[name]', 0),
    asked: (given) => ({ $case: 'snapshot', value: { name: nameOf(given) } }),
  },
  'snapshot rm': {
    takes: oneName('[snapshot]'),
    asked: (given) => ({ $case: 'removeSnapshot', value: { snapshot: nameOf(given) } }),
  },
  'snapshot restore': {
    takes: oneName('[snapshot]'),
    asked: (given) => ({ $case: 'restore', value: { snapshot: nameOf(given) } }),
  },
  clone: {
    flags: ['count'],
    takes: { what: '[name]', least: 0, most: many },
    asked: ({ faults, names, flags }) => {
      const count = numberValue(faults, '--count', flags.count, { whole: true, min: 1 }) ?? 0;
      return { $case: 'clone', value: { names: [...names], count } };
    },
  },
  export: { asked: () => ({ $case: 'export', value: nothing }) },
  exec: {
    flags: ['autoStart'],
    takes: { what: '[program]', least: 1, most: many },
    asked: ({ names: [command = '', ...args], flags }) => {
      const autoStart = flags.autoStart === false ? false : undefined;
      return { $case: 'exec', value: { command, args, autoStart } };
    },
  },
};

/** The commands that can be asked about, in the words that the CLI has for them. */
export const askable = Object.keys(verbs);

const flagNames: Readonly<Record<keyof AskedFlags, string>> = {
  timeout: '--timeout',
  maxDuration: '--max-duration',
  toDisk: '--to-disk',
  count: '--count',
  force: '--force',
  autoStart: '--no-auto-start',
};

/** `words`: the command, which may be of two words, and its arguments. */
export const askedValue = (faults: FlagFaults, words: readonly string[], flags: AskedFlags): Asked => {
  const length = askable.includes(words.slice(0, 2).join(' ')) ? 2 : 1;
  const verb = words.slice(0, length).join(' ');
  const names = words.slice(length);
  const found = askable.includes(verb) ? verbs[verb] : undefined;
  if (found === undefined) {
    faults.add('<command>', `must be one of ${askable.join(', ')}, not ${JSON.stringify(verb)}`);
    return { $case: 'start', value: nothing };
  }
  for (const key of Object.keys(flagNames) as (keyof AskedFlags)[]) {
    // Object.keys forgets the literal types
    const isGiven = key === 'autoStart' ? flags.autoStart === false : flags[key] !== undefined;
    if (!isGiven || found.flags?.includes(key)) continue;
    const owners = askable.filter((name) => verbs[name]?.flags?.includes(key));
    faults.add(flagNames[key], `is an option of ${owners.join(' and ')}, not of ${verb}`);
  }
  const { what, least, most } = found.takes ?? { what: '[argument]', least: 0, most: 0 };
  if (names.length < least) faults.add(what, `must be named for ${verb}`);
  if (names.length > most) faults.add(what, `${verb} takes ${most === 0 ? 'none' : `no more than ${most}`}`);
  return found.asked({ faults, names, flags });
};
