import { BrokenInvariant } from '../kernel/assert.ts';
import type { JsonObject, JsonValue } from '../kernel/json.ts';
import { type DomainEvent, domainEventSchema } from './envelope.ts';

/** Lifts an event's data from one schema version to the next. */
type Upcaster = (data: JsonValue) => JsonValue;

/**
 * By event type, the upcasters from version 1 to 2, from 2 to 3, and so on. An event is always written at its newest
 * version; which that is follows from this table.
 */
export type Upcasters = { readonly [Type in DomainEvent['type']]?: readonly Upcaster[] };

/** How events of every schema version are read. */
export interface EventReader {
  /** The schema version that events of this type are written with. */
  schemaVersionOf(type: DomainEvent['type']): number;
  /**
   * An event of the log in its newest form. Throws `BrokenInvariant` for a type or version that this program does not
   * know (a newer program wrote it) and for data that does not fit its schema: a fold without it would be wrong.
   */
  parseEvent(type: string, schemaVersion: number, data: JsonValue): DomainEvent;
}

const eventTypes: ReadonlySet<string> = new Set(
  domainEventSchema.options.map((schema) => schema.shape.type.value),
);
const isEventType = (type: string): type is DomainEvent['type'] => eventTypes.has(type);

export const eventReader = (upcasters: Upcasters): EventReader => {
  const schemaVersionOf: EventReader['schemaVersionOf'] = (type) => 1 + (upcasters[type]?.length ?? 0);
  return {
    schemaVersionOf,
    parseEvent: (type, schemaVersion, data) => {
      if (!isEventType(type)) throw new BrokenInvariant(`the log has an event of unknown type ${type}`);
      const newest = schemaVersionOf(type);
      if (!Number.isInteger(schemaVersion) || schemaVersion < 1 || schemaVersion > newest)
        throw new BrokenInvariant(
          `the log has ${type} at version ${schemaVersion}; known are 1 to ${newest}`,
        );
      const lifts = (upcasters[type] ?? []).slice(schemaVersion - 1);
      const lifted = lifts.reduce((old, lift) => lift(old), data);
      const parsed = domainEventSchema.safeParse({ type, data: lifted });
      if (!parsed.success)
        throw new BrokenInvariant(`the log has a ${type} that is none: ${parsed.error.message}`, {
          cause: parsed.error,
        });
      return parsed.data;
    },
  };
};

/** Version 1 had `command` and `args`, and nothing of what else was asked for. */
const execRequested1: Upcaster = (data) => {
  const { boxId = null, generation = null, command = null, args = null, ...rest } = data as JsonObject; // as version 1 was written
  return {
    ...{ ...rest, boxId, generation, workingDir: null, user: null, tty: false, timeoutMs: null },
    program: { kind: 'full', command, args },
    env: { kind: 'none' },
  };
};

/** The events of this program. */
export const { schemaVersionOf, parseEvent } = eventReader({ 'exec.requested': [execRequested1] });
