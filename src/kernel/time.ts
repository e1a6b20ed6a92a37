import type { Brand } from './brand.ts';

/** A moment as RFC 3339 in UTC with exactly three decimals: `2026-11-25T12:00:00.000Z`. Sorts as text. */
export type Timestamp = Brand<string, 'Timestamp'>;

/** What a timer of Node's holds: with more it fires at once. */
export const timeoutMaxMs = 2 ** 31 - 1;

const pattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

export const timestamp = (text: string): Timestamp => {
  if (!pattern.test(text) || Number.isNaN(Date.parse(text)))
    throw new RangeError(`${JSON.stringify(text)} is not a UTC timestamp with milliseconds`);
  return text as Timestamp;
};

/** `ms` since 1970-01-01T00:00:00Z. */
export const timestampFromMs = (ms: number): Timestamp => timestamp(new Date(ms).toISOString());
export const msOf = (at: Timestamp): number => Date.parse(at);
export const plusMs = (at: Timestamp, ms: number): Timestamp => timestampFromMs(msOf(at) + ms);
