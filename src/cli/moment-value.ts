import type { FlagFaults } from './flag-values.ts';

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const ago = /^((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)(?: ?ago)?$/;
const rfc3339 = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i;

export const momentHelp =
  'a version of the box such as 4, or a time: 2026-11-25T12:00:00Z, or so long ago: 90s, 5m, 1h30m, 2d';

/** A time: RFC 3339, or so long before `nowMs`. */
export const timeValue = (
  faults: FlagFaults,
  name: string,
  text: string | undefined,
  nowMs: number,
): Date | undefined => {
  if (text === undefined) return undefined;
  const time = timeOf(text.trim(), nowMs);
  if (time !== undefined && !Number.isNaN(time.getTime())) return time;
  return faults.add(
    name,
    `must be a time such as 2026-11-25T12:00:00Z, or so long ago such as 5m or 2h, not ${JSON.stringify(text)}`,
  );
};

/** A version of the box, which is all digits, or a time. */
export const momentValue = (
  faults: FlagFaults,
  name: string,
  text: string | undefined,
  nowMs: number,
): Date | bigint | undefined =>
  text !== undefined && /^\d{1,18}$/.test(text.trim()) ? BigInt(text) : timeValue(faults, name, text, nowMs);

const timeOf = (text: string, nowMs: number): Date | undefined => {
  if (text === 'now') return new Date(nowMs);
  if (rfc3339.test(text)) return new Date(text.replace(' ', 'T').toUpperCase());
  const spans = ago.exec(text)?.[1];
  if (spans === undefined) return undefined;
  const parts = [...spans.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)];
  return new Date(
    nowMs - parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitsMs[unit ?? ''] ?? 0), 0),
  );
};
