import { type BoxId, type ExecId, execOfStream, type TenantId } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';
import type { RecordedEvent } from './envelope.ts';
import type { ExecEvent, ExecRecorded } from './exec-events.ts';
import type { Failure } from './failure.ts';
import type { Exit } from './process.ts';

/** One run of a program, as its users see it. */
export interface ExecView {
  readonly execId: ExecId;
  readonly tenant: TenantId;
  readonly boxId: BoxId;
  readonly generation: number;
  readonly state: 'requested' | 'running' | 'exited' | 'failed' | 'lost';
  readonly program: ExecRecorded['program'];
  readonly user: string | null;
  readonly tty: boolean;
  readonly pid: number | null;
  readonly end: { readonly exit: Exit; readonly timedOut: boolean; readonly durationMs: number } | null;
  readonly failure: Failure | null;
  readonly requestedAt: Timestamp;
  readonly startedAt: Timestamp | null;
  readonly endedAt: Timestamp | null;
}

export const isOver = ({ state }: ExecView): boolean => state !== 'requested' && state !== 'running';

/** A fold of the exec's whole stream; undefined when there is none. */
export const execViewOf = (events: readonly RecordedEvent[]): ExecView | undefined =>
  events.reduce<ExecView | undefined>(
    (view, event) => next(view, event as RecordedEvent<ExecEvent>), // of an exec's stream
    undefined,
  );

const next = (view: ExecView | undefined, event: RecordedEvent<ExecEvent>): ExecView | undefined => {
  const { occurredAt } = event;
  if (event.type === 'exec.requested') {
    const { boxId, generation, program, user, tty } = event.data;
    return {
      ...{
        execId: execOfStream(event.streamId),
        tenant: event.tenant,
        boxId,
        generation,
        program,
        user,
        tty,
      },
      ...{ state: 'requested', pid: null, end: null, failure: null },
      ...{ requestedAt: occurredAt, startedAt: null, endedAt: null },
    };
  }
  if (view === undefined) return undefined;
  switch (event.type) {
    case 'exec.started':
      return { ...view, state: 'running', pid: event.data.pid, startedAt: occurredAt };
    case 'exec.exited': {
      const { exit, timedOut, durationMs } = event.data;
      return { ...view, state: 'exited', end: { exit, timedOut, durationMs }, endedAt: occurredAt };
    }
    case 'exec.failed':
      return { ...view, state: 'failed', failure: event.data.failure, endedAt: occurredAt };
    case 'exec.lost':
      return { ...view, state: 'lost', failure: event.data.failure, endedAt: occurredAt };
    default:
      return event satisfies never;
  }
};
