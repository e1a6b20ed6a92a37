import type { Cursor } from './event-store.ts';

/** A consumer in somebody's hands. */
export interface ConsumerLease {
  readonly name: string;
  /** Grows whenever the consumer changes hands. */
  readonly number: string;
  /** After the last event that was dealt with. */
  readonly cursor: Cursor;
}

export interface ConsumerRecord {
  readonly name: string;
  readonly cursor: Cursor;
  /** Who runs it now. */
  readonly holder: string | null;
}

/** Readers known by name: how far each has come, and who runs it. One process at a time does, for as long as its lease. */
export interface ConsumerStore {
  /** Makes the consumer, at the beginning of the log, when it is new. Undefined while another holds it. */
  take(name: string, holder: string, leaseMs: number): Promise<ConsumerLease | undefined>;
  /** Prolongs the lease to `leaseMs` from now and notes the cursor; false when it is in other hands: stop at once. */
  keep(lease: ConsumerLease, leaseMs: number, cursor: Cursor): Promise<boolean>;
  /** Notes the cursor and lets the next one take it at once. Without effect when it is in other hands. */
  release(lease: ConsumerLease, cursor: Cursor): Promise<void>;
  /** Sends the consumer to a cursor (`''`: all over again); whoever runs it loses its lease, and goes on from there. */
  restart(name: string, cursor: Cursor): Promise<void>;
  list(): Promise<readonly ConsumerRecord[]>;
}
