import { BoxledgerError, type Fault, invalidArgument } from '../kernel/errors.ts';
import { commandIdPattern } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import type { MutationFlags } from './flags.ts';

/** Gathers what is wrong with a command's options, so that all of it is said at once. */
export class FlagFaults {
  readonly #faults: Fault[] = [];

  add(field: string, problem: string): undefined {
    this.#faults.push({ field, problem });
    return undefined;
  }

  /** Throws `InvalidArgument` when there were any. */
  check(command: string): void {
    if (this.#faults.length === 0) return;
    const help = `See \`boxledger ${command} --help\`.`;
    throw BoxledgerError.fromRefusal({ ...invalidArgument(this.#faults), help });
  }
}

/** A finite number, or a fault. Without a least one, its bounds are the server's to say, together with all else. */
export const numberValue = (
  faults: FlagFaults,
  flag: string,
  text: string | undefined,
  { whole = false, min = 0 }: { readonly whole?: boolean; readonly min?: number } = {},
): number | undefined => {
  if (text === undefined) return undefined;
  const value = /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN;
  const least = min === Number.NEGATIVE_INFINITY ? '' : `, ${min} or more`;
  const wanted = `must be a ${whole ? 'whole ' : ''}number${least}, not ${JSON.stringify(text)}`;
  if (Number.isNaN(value) || value < min || (whole && !Number.isSafeInteger(value)))
    return faults.add(flag, wanted);
  return value;
};

/** Seconds, with decimals where wanted, as milliseconds. */
export const secondsValue = (faults: FlagFaults, flag: string, text: string | undefined) => {
  const seconds = numberValue(faults, flag, text);
  if (seconds === undefined) return undefined;
  const ms = Math.round(seconds * 1000);
  return ms <= 0xffff_ffff ? ms : faults.add(flag, 'must be at most 4294967 seconds');
};

const unitsInMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `1m30s`, `2h`, `7d`: in milliseconds. As in Docker, and days besides. */
export const durationMsValue = (faults: FlagFaults, flag: string, text: string | undefined) => {
  if (text === undefined) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === text;
  const ms = parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (unitsInMs[unit ?? ''] ?? 0), 0);
  if (isWhole && Number.isSafeInteger(Math.round(ms))) return Math.round(ms);
  return faults.add(flag, `must be a duration such as 500ms, 30s or 1h30m, not ${JSON.stringify(text)}`);
};

const unitsInMib: Readonly<Record<string, number>> = { k: 1 / 1024, m: 1, g: 1024, t: 1024 * 1024 };

/** `512m`, `1.5g`, `1GiB`: powers of 1024, in MiB. A unit is asked for: 512 alone could be meant either way. */
export const memoryMibValue = (faults: FlagFaults, flag: string, text: string | undefined) => {
  if (text === undefined) return undefined;
  const [, digits, letter] = /^(\d+(?:\.\d+)?)([kmgt])(?:i?b)?$/i.exec(text.trim()) ?? [];
  const unit = letter === undefined ? undefined : unitsInMib[letter.toLowerCase()];
  if (unit === undefined)
    return faults.add(flag, `must be a size with its unit, such as 512m or 1g, not ${JSON.stringify(text)}`);
  const mib = Number(digits) * unit;
  if (!Number.isInteger(mib) || mib > 0xffff_ffff) return faults.add(flag, `must be whole MiB, not ${text}`);
  return mib;
};

/** `K=V` pairs; the last of a key wins. A key alone has the value that `alone` gives, or is left out. */
export const assignmentsValue = (
  faults: FlagFaults,
  flag: string,
  texts: readonly string[],
  alone: (key: string) => string | undefined,
): Record<string, string> => {
  const entries = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf('=');
    const key = at === -1 ? text : text.slice(0, at);
    const value = at === -1 ? alone(key) : text.slice(at + 1);
    if (key === '') faults.add(flag, `must be KEY=VALUE, not ${JSON.stringify(text)}`);
    else if (value !== undefined) entries.set(key, value);
  }
  return Object.fromEntries(entries);
};

/** A new box's name. On the wire an empty one asks for one to be made up; here it is a variable of a script that was not set. */
export const nameValue = (faults: FlagFaults, flag: string, text: string | undefined) =>
  text === '' ? faults.add(flag, 'must not be empty; leave it out to have one made up') : text;

/** What is common to all changes. */
export const mutationValue = (faults: FlagFaults, flags: MutationFlags) => {
  const { commandId, reason, expectedVersion } = flags;
  if (commandId !== undefined && !commandIdPattern.test(commandId))
    faults.add(
      '--command-id',
      `must be 1 to ${limits.commandIdMaxBytes} printable ASCII characters without a space`,
    );
  if (expectedVersion !== undefined && !/^\d{1,19}$/.test(expectedVersion))
    faults.add('--expected-version', `must be a version such as 4, not ${JSON.stringify(expectedVersion)}`);
  const version =
    expectedVersion !== undefined && /^\d{1,19}$/.test(expectedVersion) ? BigInt(expectedVersion) : undefined;
  return { commandId, reason, expectedVersion: version };
};
