import type { BoxView } from '../events/box-view.ts';
import type { Command } from '../events/commands.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { Actor } from '../events/schemas.ts';
import type { Refusal } from '../kernel/errors.ts';
import type { CommandId, CorrelationId, StreamId, TenantId, Version } from '../kernel/ids.ts';
import type { EffectClaim } from './event-store.ts';

/** Who asks, why, and under which conditions. */
export interface CommandMeta {
  readonly tenant: TenantId;
  readonly actor: Actor;
  readonly reason?: string | undefined;
  /** Chosen by the caller to make repeating safe; minted when absent. */
  readonly commandId?: CommandId | undefined;
  /** Refused with `Conflict` unless the stream is at this version. */
  readonly expectedVersion?: Version | undefined;
  readonly correlationId?: CorrelationId | undefined;
  readonly causationId?: string | undefined;
  readonly traceparent?: string | undefined;
  /** The claim whose outcome the command brings. */
  readonly settles?: EffectClaim | undefined;
}

export type Answer =
  | {
      readonly kind: 'accepted' | 'already-so';
      readonly streamId: StreamId;
      /** Of the stream, once the command had been carried out. */
      readonly version: Version;
      /** What was appended, that of the command's own stream first; empty when already so, or when the command had been answered before. */
      readonly events: readonly RecordedEvent<DomainEvent>[];
      /** The box at that version; null for other aggregates. */
      readonly view: BoxView | null;
    }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/**
 * The one way in: load, decide, append. Throws `BoxledgerError` only when the world misbehaves (`Unavailable`); then
 * whether the command was carried out is unknown, and the same command id asks again safely.
 */
export interface CommandDoor {
  submit(command: Command, meta: CommandMeta): Promise<Answer>;
}

/** What commands were answered, for work that has to know before it begins whether it was done already. */
export interface CommandMemory {
  /**
   * The first answer to this command under its id, or the refusal of an id that another command has had. Undefined when the
   * caller chose no id, or nobody has asked under it.
   */
  answered(command: Command, meta: CommandMeta): Promise<Answer | undefined>;
}
