import type { CommandMeta } from '../commands/door.ts';
import type { BoxRecord } from '../commands/event-store.ts';
import type { ExecSpec } from '../events/exec-events.ts';
import type { Failure } from '../events/failure.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type CorrelationId, commandId, type ExecId, execStream } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import { metaOf, submit } from './box-access.ts';
import type { Caller } from './caller.ts';
import { recordedOf } from './exec-log.ts';
import { insisted, isPassing } from './insist.ts';
import type { Mutation } from './requests.ts';

/** The beginning of one exec's stream in the log, up to its program's start: from there on it is the keeper's. */
export class ExecRecord {
  readonly execId: ExecId;
  readonly meta: Pick<CommandMeta, 'tenant' | 'actor' | 'correlationId' | 'traceparent'>;
  readonly #deps: ApiDeps;

  constructor(deps: ApiDeps, execId: ExecId, caller: Caller, correlationId: CorrelationId) {
    this.#deps = deps;
    this.execId = execId;
    this.meta = { ...caller, correlationId };
  }

  /**
   * Throws `AlreadyExists` for a repeated request: a program is run once. When it is unknown whether the exec was requested,
   * it gets an end in case it was, for nobody will run it.
   */
  async request(box: BoxRecord, spec: ExecSpec, caller: Caller, mutation: Mutation): Promise<void> {
    const { execId } = this;
    const { boxId, view } = box;
    const recorded = recordedOf(execId, spec, view.options);
    const answer = await submit(
      this.#deps,
      { type: 'exec.request', execId, boxId, generation: view.generation, spec, recorded },
      { ...metaOf(caller, mutation), expectedVersion: undefined, correlationId: this.meta.correlationId },
    ).catch((error: unknown) => {
      if (isPassing(error)) void this.#endUnrun(error);
      throw error;
    });
    if (answer.streamId !== execStream(execId))
      throw new BoxledgerError('AlreadyExists', 'This exec was asked for before.', {
        help: `Attach to ${answer.streamId.slice('exec/'.length)} or see what became of it, or use a new command id to run it again.`,
        details: { streamId: answer.streamId },
      });
  }

  /** The program could not be started. What cannot be reported while the process lives, the next one reports as lost. */
  async failed(failure: Failure): Promise<void> {
    const { execId } = this;
    const meta = { ...this.meta, commandId: commandId(`${execId}.exec.reportFailed`) };
    await insisted(() => submit(this.#deps, { type: 'exec.reportFailed', execId, failure }, meta));
  }

  /** Not waited for: the caller's answer is that nothing is known. */
  async #endUnrun({ code, message }: BoxledgerError): Promise<void> {
    const { execId } = this;
    try {
      await this.failed({ code, message });
    } catch (err) {
      if (err instanceof BoxledgerError && err.code === 'NotFound') return; // it was not requested
      this.#deps.logger.error({ err, execId }, 'an exec that nobody runs could not be given an end');
    }
  }
}
