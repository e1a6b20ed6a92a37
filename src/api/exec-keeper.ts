import type { CommandMeta } from '../commands/door.ts';
import type { Failure } from '../events/failure.ts';
import type { BoxId, ExecId } from '../kernel/ids.ts';

/** An exec that was requested in a run of its box. */
interface KeptExec {
  readonly execId: ExecId;
  readonly boxId: BoxId;
  readonly generation: number;
  readonly meta: Pick<CommandMeta, 'tenant' | 'actor' | 'correlationId' | 'traceparent'>;
}

/** Sees to it that what becomes of execs gets into the log, also when nobody is attached to them. */
export interface ExecKeeper {
  /** To be told of every program that has been started. */
  keep(exec: KeptExec, pid: number): void;
  /** To be told of every program of which it is not known whether it was started, and with what its start ended. */
  find(exec: KeptExec, failure: Failure): void;
  /** Resolves once the end of the exec is in the log. */
  recorded(execId: ExecId): Promise<void>;
}
