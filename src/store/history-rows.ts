import { z } from 'zod';
import type { EffectMemory } from '../commands/log-history.ts';
import { effectKindSchema } from '../events/effects.ts';
import { boxIdSchema, effectIdSchema, hostIdSchema } from '../events/schemas.ts';
import type { BoxId, Version } from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import { jsonColumn, rowParser, timeColumn, versionColumn } from './row-parsers.ts';

/** Rows that only questions about the past ask for. */

export const parseEffectMemory: (row: unknown) => EffectMemory = rowParser(
  'an effect',
  z
    .object({
      effect_id: effectIdSchema,
      kind: effectKindSchema,
      state: z.enum(['pending', 'claimed', 'settled', 'cancelled']),
      host_id: hostIdSchema,
      attempt: z.int().nonnegative(),
      deadline: timeColumn,
      last_error: jsonColumn,
    })
    .transform((row) => ({
      effectId: row.effect_id,
      kind: row.kind,
      state: row.state,
      hostId: row.host_id,
      attempts: row.attempt,
      deadline: row.deadline,
      lastError: row.last_error,
    })),
);

/** What is stored of a box that is not removed, as it stands: no older code is asked to make sense of it. */
export interface LiveBox {
  readonly boxId: BoxId;
  readonly name: string;
  readonly version: Version;
  readonly view: JsonValue;
  /** Undefined when the head is missing, or is not of the row's version. */
  readonly head: { readonly snapshot: JsonValue; readonly fingerprint: string } | undefined;
}

export const parseLiveBox: (row: unknown) => LiveBox = rowParser(
  'a live box',
  z
    .object({
      box_id: boxIdSchema,
      name: z.string(),
      view: jsonColumn,
      row_version: versionColumn,
      version: versionColumn.nullable(),
      fingerprint: z.string().nullable(),
      snapshot: jsonColumn,
    })
    .transform(({ box_id, name, view, row_version, version, fingerprint, snapshot }) => ({
      boxId: box_id,
      name,
      version: row_version,
      view,
      head: fingerprint !== null && version === row_version ? { snapshot, fingerprint } : undefined,
    })),
);
