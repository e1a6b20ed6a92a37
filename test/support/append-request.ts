import { customAlphabet } from 'nanoid';
import type { AppendRequest, BoxRow, EffectClaim, StreamAppend } from '../../src/commands/event-store.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxView } from '../../src/events/box-view.ts';
import type { EffectIntent } from '../../src/events/effects.ts';
import type { DomainEvent } from '../../src/events/envelope.ts';
import {
  type BoxId,
  boxId,
  boxStream,
  commandId,
  correlationId,
  defaultTenant,
  type EffectId,
  effectIdFor,
  type HostId,
  hostId,
  idAlphabet,
  idLength,
  noVersion,
  type TenantId,
  version,
} from '../../src/kernel/ids.ts';
import { plusMs, type Timestamp, timestampFromMs } from '../../src/kernel/time.ts';

const random = customAlphabet(idAlphabet, idLength);
export const someBoxId = (): BoxId => boxId(`bx_${random()}`);
export const someHostId = (): HostId => hostId(`hs_${random()}`);

export interface BoxAppendOptions {
  readonly box?: BoxId;
  readonly name?: string;
  readonly state?: BoxView['state'];
  readonly labels?: Record<string, string>;
  readonly tenant?: TenantId;
  /** Where the stream is; a new one when absent. */
  readonly after?: { readonly version: bigint; readonly hash: string };
  readonly events?: readonly [DomainEvent, ...DomainEvent[]];
  readonly effects?: readonly EffectIntent[];
  readonly cancels?: readonly EffectId[];
  readonly occurredAt?: Timestamp;
}

/** An append to one box's stream, with a read-model row that is as valid as a statechart's. */
export const boxAppend = (options: BoxAppendOptions = {}): StreamAppend => {
  const box = options.box ?? someBoxId();
  const name = options.name ?? box.replace('_', '-');
  const boxOptions = boxOptionsSchema.parse({ labels: options.labels ?? {} });
  return {
    streamId: boxStream(box),
    expectedVersion: options.after ? version(options.after.version) : noVersion,
    previousHash: options.after?.hash ?? '',
    events: options.events ?? [{ type: 'box.created', data: { name, options: boxOptions } }],
    snapshot: { value: options.state ?? 'configured' },
    fingerprint: 'fingerprint',
    effects: options.effects ?? [],
    cancels: options.cancels ?? [],
    row: boxRow(box, name, options),
  };
};

const boxRow = (box: BoxId, name: string, options: BoxAppendOptions): BoxRow => {
  const tenant = options.tenant ?? defaultTenant;
  const state = options.state ?? 'configured';
  const labels = options.labels ?? {};
  return {
    boxId: box,
    tenant,
    name,
    state,
    labels,
    hostId: null,
    view: {
      boxId: box,
      tenant,
      name,
      state,
      health: 'none',
      operation: null,
      bracket: null,
      options: boxOptionsSchema.parse({ labels }),
      generation: 0,
      placement: null,
      process: null,
      effect: null,
      hasDisk: false,
      origin: null,
      snapshots: [],
      standsOn: null,
      pause: null,
      restarts: 0,
      exit: null,
      failure: null,
      createdAt: options.occurredAt ?? startOfTime,
      startedAt: null,
      resumedAt: null,
      stoppedAt: null,
    },
  };
};

export const startOfTime = timestampFromMs(Date.UTC(2026, 10, 25, 12));

export interface RequestOptions {
  readonly commandId?: string;
  readonly digest?: string;
  readonly tenant?: TenantId;
  readonly settles?: EffectClaim;
  readonly occurredAt?: Timestamp;
}

export const appendRequest = (
  streams: readonly StreamAppend[],
  options: RequestOptions = {},
): AppendRequest => {
  const [first] = streams;
  const command = commandId(options.commandId ?? `cmd-${random()}`);
  return {
    command: {
      id: command,
      digest: options.digest ?? 'digest',
      answer: {
        kind: first === undefined ? 'already-so' : 'accepted',
        streamId: first?.streamId ?? boxStream(someBoxId()),
        version: version((first?.expectedVersion ?? 0n) + BigInt(first?.events.length ?? 0)),
      },
    },
    provenance: {
      tenant: options.tenant ?? defaultTenant,
      actor: { kind: 'user', id: 'ada' },
      reason: null,
      commandId: command,
      correlationId: correlationId(`req-${random()}`),
      causationId: null,
      traceparent: null,
    },
    occurredAt: options.occurredAt ?? startOfTime,
    streams,
    settles: options.settles ?? null,
  };
};

export interface IntentOptions {
  readonly notBefore?: Timestamp;
  readonly deadline?: Timestamp;
  readonly epoch?: number;
}

/** An effect of `box` on `host`, due now and with a minute left, unless told otherwise. */
export const someIntent = (box: BoxId, host: HostId, options: IntentOptions = {}): EffectIntent => ({
  effectId: effectIdFor(box, version(1), 'disk.remove'),
  tenant: defaultTenant,
  boxId: box,
  generation: 1,
  placement: { hostId: host, epoch: options.epoch ?? 1 },
  notBefore: options.notBefore ?? null,
  deadline: options.deadline ?? plusMs(timestampFromMs(Date.now()), 60_000),
  kind: 'disk.remove',
  args: {},
});
