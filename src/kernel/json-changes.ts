import type { JsonValue } from './json.ts';

/** One place in which two values differ; `undefined` where there is nothing. */
export interface JsonChange {
  /** Keys and indexes from the outside in, with dots between them; empty for the whole. */
  readonly path: string;
  readonly before: JsonValue | undefined;
  readonly after: JsonValue | undefined;
}

type Members = ReadonlyMap<string, JsonValue>;

/** Where two values differ, as deep inside as can be said, in the order of their keys. Equal values: nothing. */
export const jsonChanges = (
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path = '',
): readonly JsonChange[] => {
  if (before === after) return [];
  const [one, other] = [membersOf(before), membersOf(after)];
  if (one === undefined || other === undefined || Array.isArray(before) !== Array.isArray(after))
    return [{ path, before, after }];
  const keys = new Set([...one.keys(), ...other.keys()]);
  return [...keys].flatMap((key) =>
    jsonChanges(one.get(key), other.get(key), path === '' ? key : `${path}.${key}`),
  );
};

const membersOf = (value: JsonValue | undefined): Members | undefined =>
  typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined;
