import type { z } from 'zod';
import { readIfThere, writeWhole } from '../../os/files.ts';

/** Undefined when there is no such file. */
export const readRecord = async <Out>(path: string, schema: z.ZodType<Out>): Promise<Out | undefined> => {
  const text = await readIfThere(path);
  return text === undefined ? undefined : schema.parse(JSON.parse(text));
};

export const writeRecord = (path: string, record: object): Promise<void> =>
  writeWhole(path, JSON.stringify(record), { flush: true });

/** Undefined where it is no JSON: a schema refuses that like anything else that is not a record. */
export const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
