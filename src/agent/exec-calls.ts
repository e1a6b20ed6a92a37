import type { ExecRequest, ExecStart, InspectExecResponse, TerminalSize } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { Attachment, type ExecCall } from './attachment.ts';
import type { Environment } from './environment.ts';
import { Execution, wrong } from './execution.ts';
import { Executions } from './executions.ts';
import type { ProcessGroups } from './process-groups.ts';
import { type Launch, launchOf, type Program, startProgram } from './program.ts';
import type { Shutdown } from './shutdown.ts';
import { statusOf } from './status.ts';

const execIdMaxLength = 64;

/** What hosts ask about programs. */
export class ExecCalls {
  readonly #environment: Environment;
  readonly #groups: ProcessGroups;
  readonly #shutdown: Shutdown;
  readonly #executions = new Executions();
  /** Execs that are being started. */
  readonly #starting = new Set<string>();

  constructor(environment: Environment, groups: ProcessGroups, shutdown: Shutdown) {
    this.#environment = environment;
    this.#groups = groups;
    this.#shutdown = shutdown;
  }

  exec(call: ExecCall): void {
    const fail = (error: unknown) => call.emit('error', statusOf(error));
    const silent = () => fail(wrong('input', 'an exec must have a start'));
    call.once('end', silent);
    call.once('data', ({ input }: ExecRequest) => {
      call.off('end', silent);
      call.pause(); // until there is a program to give the input to
      if (input?.$case === 'start') this.#run(call, input.value).catch(fail);
      else if (input?.$case === 'attach') {
        try {
          const { execId, offset } = input.value;
          new Attachment(
            call,
            this.#executions.get(execId),
            offset === undefined ? undefined : Number(offset),
          );
        } catch (error) {
          fail(error);
        }
      } else fail(wrong('input', 'the first message of an exec must be its start, or attach to one'));
    });
  }

  async inspect(execId: string, untilEnded: boolean): Promise<InspectExecResponse> {
    const execution = this.#executions.get(execId);
    if (untilEnded) await execution.ended;
    return { pid: execution.pid, exited: execution.exited };
  }

  signal(execId: string, name: string): void {
    this.#executions.get(execId).signal(name);
  }

  async #run(call: ExecCall, start: ExecStart): Promise<void> {
    let cancelled = call.cancelled;
    call.once('cancelled', () => {
      cancelled = true;
    });
    const execution = await this.#start(start, () => cancelled);
    if (execution === undefined) return;
    if (start.detached) {
      execution.endInput();
      call.write({ output: { $case: 'started', value: { pid: execution.pid } } });
      call.end();
    } else new Attachment(call, execution, undefined);
    execution.begin(start.timeoutMs);
  }

  /** Undefined when the host did not wait for it: then nothing runs. */
  async #start(start: ExecStart, isCancelled: () => boolean): Promise<Execution | undefined> {
    const { execId } = start;
    if (execId === '' || execId.length > execIdMaxLength)
      throw wrong('exec_id', `must be 1 to ${execIdMaxLength} characters`);
    if (this.#executions.has(execId) || this.#starting.has(execId))
      throw new BoxledgerError('AlreadyExists', `${execId} was started before`);
    this.#starting.add(execId);
    try {
      const launch = await launchOf(start, this.#environment);
      if (isCancelled()) return undefined;
      this.#shutdown.refuseWhenEnding();
      const execution = new Execution(execId, await begun(launch, start.terminal), this.#groups);
      try {
        this.#shutdown.refuseWhenEnding();
        if (!isCancelled()) {
          this.#executions.add(execution);
          return execution;
        }
      } finally {
        if (!this.#executions.has(execId)) execution.kill('SIGKILL');
      }
      return undefined;
    } finally {
      this.#starting.delete(execId);
    }
  }
}

const begun = async (launch: Launch, terminal: TerminalSize | undefined): Promise<Program> => {
  if (terminal === undefined) return startProgram(launch);
  const { startOnTerminal } = await import('./terminal.ts'); // most boxes never need it
  return startOnTerminal(launch, terminal);
};
