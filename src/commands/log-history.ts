import type { EffectKind } from '../events/effects.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type {
  CommandId,
  CorrelationId,
  EffectId,
  HostId,
  StreamId,
  TenantId,
  Version,
} from '../kernel/ids.ts';
import type { JsonValue } from '../kernel/json.ts';
import type { Timestamp } from '../kernel/time.ts';
import type { BoxRecord, CommandAnswer } from './event-store.ts';

/** What never changes in a box, so that it can be asked for at any moment alike. */
export interface LastingFilter {
  /** All must be equal. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly namePrefix?: string | undefined;
  /** The whole name. */
  readonly name?: string | undefined;
}

/** A box that existed at a moment. */
export interface BoxThen {
  /** As it is now. */
  readonly record: BoxRecord;
  /** Version that it had at the moment: `record.version` when nothing has happened to it since. */
  readonly version: Version;
  /** The next page begins after this box. */
  readonly pageToken: string;
}

/** An effect as the outbox remembers it. */
export interface EffectMemory {
  readonly effectId: EffectId;
  readonly kind: EffectKind;
  readonly state: 'pending' | 'claimed' | 'settled' | 'cancelled';
  readonly hostId: HostId;
  /** Attempts so far. */
  readonly attempts: number;
  readonly deadline: Timestamp;
  /** Why the last attempt that was handed back had failed. */
  readonly lastError: JsonValue;
}

/** The log and what stands beside it, asked for by what no stream or order of the log tells. */
export interface LogHistory {
  /**
   * Boxes that were created at `at` or before, removed ones as well, in order of creation. A box's version then is the
   * last one before the first event that is dated after `at`.
   */
  boxesAt(
    tenant: TenantId,
    at: Timestamp,
    filter: LastingFilter,
    page: { readonly size: number; readonly token: string },
  ): Promise<readonly BoxThen[]>;
  /** The first events, at most `limit`, of everything that one request led to, in the order they were appended. */
  correlated(
    tenant: TenantId,
    correlationId: CorrelationId,
    limit: number,
  ): Promise<readonly RecordedEvent[]>;
  /** The last event of a type in a stream. */
  lastOf<Type extends DomainEvent['type']>(
    streamId: StreamId,
    type: Type,
  ): Promise<RecordedEvent<Extract<DomainEvent, { type: Type }>> | undefined>;
  /** What was answered to a command. */
  answerTo(tenant: TenantId, commandId: CommandId): Promise<CommandAnswer | undefined>;
  /** Those that the outbox still knows. */
  effects(effectIds: readonly EffectId[]): Promise<readonly EffectMemory[]>;
}
