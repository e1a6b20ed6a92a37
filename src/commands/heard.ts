import type { z } from 'zod';
import type { BoxEvent, healthSchema, stopMannerSchema } from '../events/box-events.ts';
import type { Clone, Consistency, CopyMethod, DiskOperation, Origin } from '../events/disk-operations.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { Failure } from '../events/failure.ts';
import type { Capacity } from '../events/host-events.ts';
import type { Exit } from '../events/process.ts';
import type { Actor } from '../events/schemas.ts';
import type { BoxId, CopyId, CorrelationId, ExecId, HostId, SnapshotId } from '../kernel/ids.ts';
import { boxOfStream, copyId, execId, hostId } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';
import type { Cursor } from './event-store.ts';
import type { LogEntry } from './log-tail.ts';

/** What every listener is told. */
interface Occasion {
  readonly at: Timestamp;
  readonly actor: Actor;
  readonly reason: string | null;
  readonly correlationId: CorrelationId;
  /** Where a listener that comes later goes on after this. */
  readonly cursor: Cursor;
}

interface OfBox extends Occasion {
  readonly boxId: BoxId;
}

interface OfSnapshot extends OfBox {
  readonly snapshotId: SnapshotId;
}

interface OfExec extends OfBox {
  readonly execId: ExecId;
  /** Null where the box's `execLog` keeps it out of the log. */
  readonly command: string | null;
}

interface OfCopy extends OfBox {
  readonly copyId: CopyId;
  /** In the box. */
  readonly path: string;
  readonly entries: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly durationMs: number;
}

interface OfHost extends Occasion {
  readonly hostId: HostId;
  readonly epoch: number;
}

/** What there is to listen for, and what a listener gets. */
export interface Heard {
  /** `origin`: the box or the archive that it was made of. */
  created: OfBox & { readonly name: string; readonly origin: Origin | null };
  renamed: OfBox & { readonly name: string };
  started: OfBox & { readonly stagesMs: Readonly<Record<string, number>>; readonly tookOver: boolean };
  /** `manner`: how it was made to end, or `by-itself`. */
  stopped: OfBox & {
    readonly exit: Exit;
    readonly manner: z.infer<typeof stopMannerSchema> | 'by-itself';
  };
  paused: OfBox & { readonly consistency: Consistency };
  resumed: OfBox;
  removed: OfBox;
  failed: OfBox & {
    readonly operation:
      | 'start'
      | 'stop'
      | 'pause'
      | 'resume'
      | 'remove'
      | 'copy-in'
      | 'copy-out'
      | DiskOperation['kind'];
    readonly failure: Failure;
  };
  lost: OfBox;
  found: OfBox;
  healthChanged: OfBox & { readonly health: z.infer<typeof healthSchema> };
  execStarted: OfExec & { readonly pid: number };
  /** `code`: null when a signal ended it, or nobody knows what did. */
  execCompleted: OfExec & {
    readonly code: number | null;
    readonly exit: Exit;
    readonly timedOut: boolean;
    readonly durationMs: number;
  };
  /** It could not be started, or nobody saw how it ended. */
  execFailed: OfExec & { readonly failure: Failure; readonly isLost: boolean };
  fileCopiedIn: OfCopy;
  fileCopiedOut: OfCopy;
  snapshotCreated: OfSnapshot & {
    readonly name: string;
    readonly consistency: Consistency;
    readonly sizeBytes: number;
    readonly copy: CopyMethod;
  };
  snapshotRestored: OfSnapshot;
  snapshotRemoved: OfSnapshot;
  cloned: OfBox & { readonly clones: readonly Clone[] };
  exported: OfBox & { readonly sizeBytes: number; readonly sha256: string };
  hostJoined: OfHost & { readonly hostname: string; readonly capacity: Capacity };
  hostLeft: OfHost;
  /** Everything that was in the log has been told; what follows is live. Comes again when the log had been away. */
  caughtUp: { readonly cursor: Cursor };
}

/** What an exec's later events do not say themselves. */
export interface ExecOrigin {
  readonly boxId: BoxId;
  /** Null where the box's `execLog` keeps it out of the log. */
  readonly command: string | null;
}

type EventOf<Type extends DomainEvent['type']> = RecordedEvent<Extract<DomainEvent, { type: Type }>> & {
  readonly cursor: Cursor;
};

/** One thing to tell: the name under which it is listened for, and what. */
export type Telling = {
  [Name in keyof Heard]: { readonly name: Name; readonly what: Heard[Name] };
}[keyof Heard];

type ExecEnd = 'exec.started' | 'exec.exited' | 'exec.failed' | 'exec.lost';

/** Of each event that is told of, how. `null`: nobody listens for it. An event that is left out does not compile. */
type Tellings = {
  readonly [Type in DomainEvent['type']]:
    | null
    | (Type extends ExecEnd
        ? (event: EventOf<Type>, exec: ExecOrigin) => Telling
        : (event: EventOf<Type>) => Telling);
};

const occasion = ({ occurredAt, actor, reason, correlationId, cursor }: LogEntry): Occasion => ({
  at: occurredAt,
  actor,
  reason,
  correlationId,
  cursor,
});
const ofBox = (event: LogEntry): OfBox => ({ ...occasion(event), boxId: boxOfStream(event.streamId) });
const ofSnapshot = (
  event: EventOf<'box.snapshotCreated' | 'box.snapshotRemoved' | 'box.restored'>,
): OfSnapshot => ({ ...ofBox(event), snapshotId: event.data.snapshotId });
const ofExec = (event: LogEntry, { boxId, command }: ExecOrigin): OfExec => ({
  ...occasion(event),
  boxId,
  command,
  execId: execId(event.streamId.slice('exec/'.length)),
});
const ofHost = (event: EventOf<'host.joined' | 'host.left'>): OfHost => ({
  ...occasion(event),
  hostId: hostId(event.streamId.slice('host/'.length)),
  epoch: event.data.epoch,
});

type Failed = Extract<BoxEvent, { data: { failure: Failure } }>['type'];
const failed =
  (operation: Heard['failed']['operation']) =>
  (event: EventOf<Failed>): Telling => ({
    name: 'failed',
    what: { ...ofBox(event), operation, failure: event.data.failure },
  });

const tellings: Tellings = {
  'box.created': (event) => {
    const { name, origin } = event.data;
    return { name: 'created', what: { ...ofBox(event), name, origin: origin?.from ?? null } };
  },
  'box.started': (event) => {
    const { stagesMs, tookOver } = event.data;
    return { name: 'started', what: { ...ofBox(event), stagesMs, tookOver } };
  },
  'box.startFailed': failed('start'),
  'box.stopped': (event) => {
    const { exit, manner } = event.data;
    return { name: 'stopped', what: { ...ofBox(event), exit, manner } };
  },
  'box.exited': (event) => ({
    name: 'stopped',
    what: { ...ofBox(event), exit: event.data.exit, manner: 'by-itself' },
  }),
  'box.stopFailed': failed('stop'),
  'box.paused': (event) => ({
    name: 'paused',
    what: { ...ofBox(event), consistency: event.data.consistency },
  }),
  'box.pauseFailed': failed('pause'),
  'box.resumed': (event) => ({ name: 'resumed', what: ofBox(event) }),
  'box.resumeFailed': failed('resume'),
  'box.removed': (event) => ({ name: 'removed', what: ofBox(event) }),
  'box.removeFailed': failed('remove'),
  'box.lost': (event) => ({ name: 'lost', what: ofBox(event) }),
  'box.found': (event) => ({ name: 'found', what: ofBox(event) }),
  'box.healthChanged': (event) => ({
    name: 'healthChanged',
    what: { ...ofBox(event), health: event.data.health },
  }),
  'box.renamed': (event) => ({ name: 'renamed', what: { ...ofBox(event), name: event.data.name } }),
  'box.snapshotCreated': (event) => {
    const { name, bracket, sizeBytes, copy } = event.data;
    const what = { ...ofSnapshot(event), name, consistency: bracket.consistency, sizeBytes, copy };
    return { name: 'snapshotCreated', what };
  },
  'box.snapshotFailed': failed('snapshot'),
  'box.snapshotRemoved': (event) => ({ name: 'snapshotRemoved', what: ofSnapshot(event) }),
  'box.snapshotRemovalFailed': failed('snapshotRemoval'),
  'box.restored': (event) => ({ name: 'snapshotRestored', what: ofSnapshot(event) }),
  'box.restoreFailed': failed('restore'),
  'box.cloned': (event) => ({ name: 'cloned', what: { ...ofBox(event), clones: event.data.clones } }),
  'box.cloneFailed': failed('clone'),
  'box.exported': (event) => {
    const { sizeBytes, sha256 } = event.data;
    return { name: 'exported', what: { ...ofBox(event), sizeBytes, sha256 } };
  },
  'box.exportFailed': failed('export'),
  'exec.started': (event, exec) => ({
    name: 'execStarted',
    what: { ...ofExec(event, exec), pid: event.data.pid },
  }),
  'exec.exited': (event, exec) => {
    const { exit, timedOut, durationMs } = event.data;
    const code = exit.kind === 'code' ? exit.code : null;
    return { name: 'execCompleted', what: { ...ofExec(event, exec), code, exit, timedOut, durationMs } };
  },
  'exec.failed': (event, exec) => ({
    name: 'execFailed',
    what: { ...ofExec(event, exec), failure: event.data.failure, isLost: false },
  }),
  'exec.lost': (event, exec) => ({
    name: 'execFailed',
    what: { ...ofExec(event, exec), failure: event.data.failure, isLost: true },
  }),
  'copy.completed': (event) => {
    const { boxId, direction, path, entries, bytes, sha256, durationMs } = event.data;
    return {
      name: direction === 'in' ? 'fileCopiedIn' : 'fileCopiedOut',
      what: {
        ...occasion(event),
        ...{ boxId, path, entries, bytes, sha256, durationMs },
        copyId: copyId(event.streamId.slice('copy/'.length)),
      },
    };
  },
  'copy.failed': (event) => {
    const { boxId, direction, failure } = event.data;
    return { name: 'failed', what: { ...occasion(event), boxId, operation: `copy-${direction}`, failure } };
  },
  'host.joined': (event) => {
    const { hostname, capacity } = event.data;
    return { name: 'hostJoined', what: { ...ofHost(event), hostname, capacity } };
  },
  'host.left': (event) => ({ name: 'hostLeft', what: ofHost(event) }),

  // What is asked for, and not yet come about.
  'box.startRequested': null,
  'box.stopRequested': null,
  'box.pauseRequested': null,
  'box.resumeRequested': null,
  'box.removeRequested': null,
  'exec.requested': null,
  'box.snapshotRequested': null,
  'box.snapshotRemovalRequested': null,
  'box.restoreRequested': null,
  'box.cloneRequested': null,
  'box.exportRequested': null,
};

/** Types of the events that somebody may listen for. */
export const toldTypes = Object.entries(tellings).flatMap(([type, telling]) =>
  telling === null ? [] : type,
);

/** What there is to tell of an event; undefined: nothing. `originOf` is asked for execs only. */
export const tellingOf = async (
  event: LogEntry,
  originOf: (event: LogEntry) => Promise<ExecOrigin>,
): Promise<Telling | undefined> => {
  // The table pairs each type with what takes it, which a look-up by a union of types forgets.
  const tell = tellings[event.type] as ((event: LogEntry, exec?: ExecOrigin) => Telling) | null;
  if (tell === null) return undefined;
  return event.streamId.startsWith('exec/') ? tell(event, await originOf(event)) : tell(event);
};
