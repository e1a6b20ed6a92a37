import type { CommandMeta } from '../commands/door.ts';
import type { BoxId, ExecId } from '../kernel/ids.ts';

/** Sees to it that what becomes of execs gets into the log, also when nobody is attached to them. */
export interface ExecKeeper {
  /** To be told of every program that has been started. */
  keep(
    exec: {
      readonly execId: ExecId;
      readonly boxId: BoxId;
      readonly generation: number;
      readonly meta: Pick<CommandMeta, 'tenant' | 'actor' | 'correlationId' | 'traceparent'>;
    },
    pid: number,
  ): void;
  /** Resolves once the end of the exec is in the log. */
  recorded(execId: ExecId): Promise<void>;
}
