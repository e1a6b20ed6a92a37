import type { JsonValue } from '../kernel/json.ts';

/** Deeper than anything the log's writers make, and far from the end of the stack. */
const depthMax = 200;

/**
 * RFC 8785 (JCS): keys in the order of their UTF-16 code units, no white space, strings and numbers as ECMAScript writes
 * them. Throws `RangeError` on what JSON cannot carry or what is nested deeper than anybody nests.
 */
export const canonicalJson = (value: JsonValue, depth = 0): string => {
  if (typeof value === 'string' || value === null || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError('JSON has no such number');
    return JSON.stringify(value);
  }
  if (depth === depthMax) throw new RangeError(`nested more than ${depthMax} deep`);
  if (isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null, depth + 1)}`);
  return `{${members.join(',')}}`;
};

const isArray = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);
