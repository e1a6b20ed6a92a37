import type { JsonValue } from '../kernel/json.ts';
import { type DomainEvent, domainEventSchema } from './envelope.ts';

/** The version of `type`'s schema that new events are written with. */
export const schemaVersionOf = (_type: DomainEvent['type']): number => 1;

/** An event as it was stored, in today's schema. Throws when it is not an event that this program knows. */
export const parseEvent = (type: string, schemaVersion: number, data: JsonValue): DomainEvent => {
  if (schemaVersion !== 1) throw new RangeError(`${type} has no schema version ${schemaVersion}`);
  return domainEventSchema.parse({ type, data });
};
