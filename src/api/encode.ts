import type { BoxRecord } from '../commands/event-store.ts';
import type { BoxOptions } from '../events/box-options.ts';
import type { BoxView } from '../events/box-view.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { Failure } from '../events/failure.ts';
import type { Exit } from '../events/process.ts';
import type {
  Box,
  Exit as WireExit,
  Failure as WireFailure,
  BoxOptions as WireOptions,
} from '../gen/boxledger/v1/box.ts';
import type { Event } from '../gen/boxledger/v1/event.ts';
import type { Version } from '../kernel/ids.ts';
import { msOf, type Timestamp } from '../kernel/time.ts';
import { encodeOperation, encodeOrigin, encodePause, encodeSnapshot } from './encode-disk.ts';

/** The domain's words in the wire's shape. */

export const encodeBox = (view: BoxView, version: Version): Box => ({
  boxId: view.boxId,
  tenant: view.tenant,
  name: view.name,
  state: view.state,
  health: view.health,
  options: encodeOptions(view.options),
  version,
  generation: view.generation,
  placement: view.placement ?? undefined,
  process: view.process ?? undefined,
  effect:
    view.effect === null ? undefined : { ...view.effect, deadline: new Date(msOf(view.effect.deadline)) },
  hasDisk: view.hasDisk,
  exit: view.exit === null ? undefined : encodeExit(view.exit),
  failure: view.failure === null ? undefined : encodeFailure(view.failure),
  createdAt: new Date(msOf(view.createdAt)),
  startedAt: dateOf(view.startedAt),
  stoppedAt: dateOf(view.stoppedAt),
  bracket: view.bracket ?? '',
  operation: view.operation === null ? undefined : encodeOperation(view.operation),
  origin: view.origin === null ? undefined : encodeOrigin(view.origin),
  snapshots: view.snapshots.map(encodeSnapshot),
  standsOn: view.standsOn ?? '',
  pause: view.pause === null ? undefined : encodePause(view.pause),
  restarts: view.restarts,
});

const encodeOptions = ({ idleTimeoutMs, maxLifetimeMs, ...rest }: BoxOptions): WireOptions => ({
  ...rest,
  idleTimeoutMs: idleTimeoutMs === undefined ? undefined : BigInt(idleTimeoutMs),
  maxLifetimeMs: maxLifetimeMs === undefined ? undefined : BigInt(maxLifetimeMs),
});

export const encodeRecord = ({ view, version }: BoxRecord): Box => encodeBox(view, version);

/** `cursor` is empty where events are read by stream. */
export const encodeEvent = (event: RecordedEvent, cursor: string): Event => ({
  streamId: event.streamId,
  version: event.version,
  position: event.position,
  type: event.type,
  schemaVersion: event.schemaVersion,
  dataJson: JSON.stringify(event.data),
  tenant: event.tenant,
  actor: event.actor,
  reason: event.reason ?? undefined,
  commandId: event.commandId,
  correlationId: event.correlationId,
  causationId: event.causationId ?? undefined,
  traceparent: event.traceparent ?? undefined,
  occurredAt: new Date(msOf(event.occurredAt)),
  hash: event.hash,
  cursor,
});

export const encodeExit = (exit: Exit): WireExit => {
  switch (exit.kind) {
    case 'code':
      return { how: { $case: 'code', value: exit.code } };
    case 'signal':
      return { how: { $case: 'signal', value: exit.signal } };
    case 'unknown':
      return { how: { $case: 'unknown', value: true } };
    default:
      return exit satisfies never;
  }
};

export const encodeFailure = ({ code, message, details }: Failure): WireFailure => ({
  code,
  message,
  detailsJson: JSON.stringify(details ?? {}),
});

const dateOf = (at: Timestamp | null) => (at === null ? undefined : new Date(msOf(at)));
