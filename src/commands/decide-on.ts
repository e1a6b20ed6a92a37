import type { Command } from '../events/commands.ts';
import type { DomainEvent } from '../events/envelope.ts';
import type { Timestamp } from '../kernel/time.ts';
import type { Decision } from '../machines/decision.ts';
import type { AnyAggregate } from './aggregates.ts';
import { versionRefusal } from './command-refusals.ts';
import type { CommandMeta } from './door.ts';
import type { StreamState } from './stream-state.ts';

/** What a command leads to on a stream as it stands: the one decision, whether it is then appended or only explained. */
export const decideOn = (
  aggregate: AnyAggregate,
  stream: StreamState,
  command: Command,
  { tenant, expectedVersion }: Pick<CommandMeta, 'tenant' | 'expectedVersion'>,
  now: Timestamp,
): Decision<unknown, DomainEvent> =>
  expectedVersion !== undefined && expectedVersion !== stream.version
    ? { kind: 'refused', refusal: versionRefusal(stream.streamId, stream.version, expectedVersion) }
    : aggregate.decide(stream.state, command, { now, version: stream.version, tenant });
