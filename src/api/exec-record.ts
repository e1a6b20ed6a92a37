import type { CommandMeta } from '../commands/door.ts';
import type { BoxRecord } from '../commands/event-store.ts';
import type { ExecCommand } from '../events/commands.ts';
import type { ExecSpec } from '../events/exec-events.ts';
import type { Failure } from '../events/failure.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type CorrelationId, commandId, type ExecId, execStream } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import { metaOf, submit } from './box-access.ts';
import type { Caller } from './caller.ts';
import { insisted, isPassing } from './insist.ts';
import type { Mutation } from './requests.ts';

type Report = Exclude<ExecCommand, { type: 'exec.request' }>;
type Told<Type extends Report['type']> = Omit<Extract<Report, { type: Type }>, 'type' | 'execId'>;

/** One exec's stream in the log, as it is being written. Each report may be made again: its command id is its own. */
export class ExecRecord {
  readonly execId: ExecId;
  readonly #deps: ApiDeps;
  readonly #meta: CommandMeta;
  #ended = false;

  constructor(deps: ApiDeps, execId: ExecId, caller: Caller, correlationId: CorrelationId) {
    this.#deps = deps;
    this.execId = execId;
    this.#meta = { ...caller, correlationId };
  }

  /**
   * Throws `AlreadyExists` for a repeated request: a program is run once, and its output is not kept. When it is unknown
   * whether the exec was requested, it gets an end in case it was, for nobody will run it.
   */
  async request(box: BoxRecord, spec: ExecSpec, caller: Caller, mutation: Mutation): Promise<void> {
    const { execId } = this;
    const { boxId, view } = box;
    const answer = await submit(
      this.#deps,
      { type: 'exec.request', execId, boxId, generation: view.generation, spec },
      { ...metaOf(caller, mutation), expectedVersion: undefined, correlationId: this.#meta.correlationId },
    ).catch((error: unknown) => {
      if (isPassing(error)) void this.#endUnrun(error);
      throw error;
    });
    if (answer.streamId !== execStream(execId))
      throw new BoxledgerError('AlreadyExists', 'This exec was asked for before.', {
        help: `Read stream ${answer.streamId} to see what became of it, or use a new command id to run it again.`,
        details: { streamId: answer.streamId },
      });
  }

  started(told: Told<'exec.reportStarted'>): Promise<void> {
    return this.#report({ type: 'exec.reportStarted', execId: this.execId, ...told });
  }

  exited(told: Told<'exec.reportExited'>): Promise<void> {
    this.#ended = true;
    return this.#report({ type: 'exec.reportExited', execId: this.execId, ...told });
  }

  /** The program could not be started. Does nothing once an end is recorded. */
  async failed(failure: Failure): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#report({ type: 'exec.reportFailed', execId: this.execId, failure });
  }

  /** Nobody saw how the program ended. Does nothing once an end is recorded. */
  async lost(failure: Failure): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#report({ type: 'exec.reportLost', execId: this.execId, failure });
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

  /** What it cannot report while the process lives, the next one reports as lost. */
  async #report(report: Report): Promise<void> {
    const meta = { ...this.#meta, commandId: commandId(`${this.execId}.${report.type}`) };
    await insisted(() => submit(this.#deps, report, meta));
  }
}
