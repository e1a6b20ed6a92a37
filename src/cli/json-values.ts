import type { JsonValue } from '../kernel/json.ts';

/** A number as long as one holds it exactly, else its digits as text. */
export const numberJson = (value: bigint): JsonValue => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
};

export const momentJson = (moment: Date | undefined): JsonValue => moment?.toISOString() ?? null;

export const optionalNumberJson = (value: bigint | undefined): JsonValue =>
  value === undefined ? null : numberJson(value);
