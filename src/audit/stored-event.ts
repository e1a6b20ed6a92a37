import type { Place } from './place.ts';

/** An event exactly as it is stored, every field as text: nothing is upcast or believed. */
export interface StoredEvent extends Place {
  readonly streamId: string;
  /** Decimal, as are `schemaVersion` and the place. */
  readonly version: string;
  readonly type: string;
  readonly schemaVersion: string;
  /** JSON text, not in any particular form. */
  readonly data: string;
  readonly tenant: string;
  readonly actorKind: string;
  readonly actorId: string;
  readonly reason: string | null;
  readonly commandId: string;
  readonly correlationId: string;
  readonly causationId: string | null;
  readonly traceparent: string | null;
  /** RFC 3339 in UTC with three decimals; other text when the row holds no such moment. */
  readonly occurredAt: string;
  /** 64 hexadecimal digits, lower case. */
  readonly hash: string;
}
