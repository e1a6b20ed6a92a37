import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CommandDoor, CommandMeta } from '../commands/door.ts';
import type { ExecDirectory } from '../commands/event-store.ts';
import { type Backoff, backoffMs } from '../effects/backoff.ts';
import { persist } from '../effects/persist.ts';
import type { BoxStateName } from '../events/box-view.ts';
import type { ExecCommand } from '../events/commands.ts';
import { type Failure, failureOf } from '../events/failure.ts';
import type { Guest } from '../guest/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type BoxId, commandId, type ExecId, type HostId } from '../kernel/ids.ts';
import type { GuestRegistry } from './guests.ts';
import type { HostBoxes } from './host-boxes.ts';

/** An exec whose end has to get into the log. */
export interface KeptExec {
  readonly execId: ExecId;
  readonly boxId: BoxId;
  /** Which start of the box it fell into; undefined: the one that is running. */
  readonly generation: number | undefined;
  /** Under whose name its events are. */
  readonly meta: Pick<CommandMeta, 'tenant' | 'actor' | 'correlationId' | 'traceparent'>;
}

interface ExecKeeperOptions {
  readonly hostId: HostId;
  readonly guests: Pick<GuestRegistry, 'of'>;
  readonly boxes: Pick<HostBoxes, 'view'>;
  readonly door: CommandDoor;
  readonly backoff: Backoff;
  readonly log: Logger;
}

type Report = Exclude<ExecCommand, { type: 'exec.request' }>;
/** What a guest answered, or why nobody will ever know. */
type Told<Answer> = { readonly answer: Answer } | { readonly lost: Failure };

const pageSize = 500;
/** How long a start waits for company in the log. */
const startReportDelayMs = 20;
/** States of a box in which its agent may still answer. */
const upStates: ReadonlySet<BoxStateName> = new Set(['running', 'pausing', 'paused', 'resuming', 'stopping']);

/**
 * Sees to it that the start and the end of every exec on this host get into the log, whether or not anybody is attached to
 * it: by waiting at the box's agent, which knows how a program ended also after the server was away. An exec is lost only
 * when its box has ended without a word about it, or the agent does not know it.
 */
export class ExecKeeper {
  readonly #options: ExecKeeperOptions;
  readonly #closing = new AbortController();
  readonly #kept = new Map<ExecId, Promise<void>>();

  constructor(options: ExecKeeperOptions) {
    this.#options = options;
    setMaxListeners(0, this.#closing.signal); // one for each exec that is waited for
  }

  /** A program that runs as `pid`. */
  keep(exec: KeptExec, pid: number): void {
    this.#hold(exec, () => this.#follow(exec, pid));
  }

  /** A program that runs or not: its start ended with `failure`, which does not say whether its agent heard of it. */
  find(exec: KeptExec, failure: Failure): void {
    this.#hold(exec, () => this.#find(exec, failure));
  }

  /** Resolves once the end of a kept exec is in the log; at once for one that is not kept, since that has its end. */
  recorded(execId: ExecId): Promise<void> {
    return this.#kept.get(execId) ?? Promise.resolve();
  }

  /**
   * Goes on with the execs of this host that had no end when the last server ended. Call it before any exec can be asked
   * for. Resolves, with how many there are, before anything is known of them: a box that is paused answers no question.
   */
  async recover(execs: Pick<ExecDirectory, 'open'>): Promise<number> {
    const { hostId } = this.#options;
    let count = 0;
    for (let after = ''; ; ) {
      const page = await this.#persist('the list of open execs', () => execs.open(hostId, after, pageSize));
      for (const { execId, boxId, tenant } of page) {
        const meta = { tenant, actor: { kind: 'system', id: `host/${hostId}` } } as const;
        const exec = { execId, boxId, generation: undefined, meta };
        this.#hold(exec, () => this.#recover(exec));
      }
      count += page.length;
      if (page.length < pageSize) return count;
      after = page.at(-1)?.execId ?? after;
    }
  }

  /** Ends all waiting. The programs go on, and the next start hears of their ends. */
  close(): void {
    this.#closing.abort(new BoxledgerError('Unavailable', 'The server is shutting down.'));
  }

  #hold(exec: KeptExec, work: () => Promise<void>): void {
    const { execId } = exec;
    const kept = work()
      .catch((err: unknown) => {
        if (!this.#closing.signal.aborted)
          this.#options.log.error({ err, execId }, 'the end of an exec could not be recorded');
      })
      .finally(() => this.#kept.delete(execId));
    this.#kept.set(execId, kept);
  }

  async #recover(exec: KeptExec): Promise<void> {
    const { execId } = exec;
    const told = await this.#ask(exec, (guest, signal) => guest.inspectExec(execId, signal));
    if ('answer' in told) await this.#follow(exec, told.answer.pid);
    else await this.#report(exec, { type: 'exec.reportLost', execId, failure: told.lost });
  }

  async #find(exec: KeptExec, failure: Failure): Promise<void> {
    const { execId } = exec;
    const told = await this.#ask(exec, (guest, signal) => guest.inspectExec(execId, signal));
    if ('answer' in told) await this.#follow(exec, told.answer.pid);
    else if (told.lost.code === 'NotFound')
      await this.#report(exec, { type: 'exec.reportFailed', execId, failure });
    else await this.#report(exec, { type: 'exec.reportLost', execId, failure: told.lost });
  }

  /** What ends at once is reported once: two events of one append, for all programs that take no longer than a commit. */
  async #follow(exec: KeptExec, pid: number): Promise<void> {
    const { execId } = exec;
    const ending = this.#ask(exec, (guest, signal) => guest.waitExec(execId, signal));
    ending.catch(() => undefined); // heard below
    const early = await Promise.race([ending, sleep(startReportDelayMs, undefined, { ref: false })]);
    if (early === undefined || 'lost' in early)
      await this.#report(exec, { type: 'exec.reportStarted', execId, pid });
    const told = await ending;
    if ('answer' in told)
      await this.#report(exec, { type: 'exec.reportExited', execId, pid, ...told.answer });
    else await this.#report(exec, { type: 'exec.reportLost', execId, failure: told.lost });
  }

  /** Asks again as long as the box is up. */
  async #ask<Answer>(
    { boxId, generation }: KeptExec,
    question: (guest: Guest, signal: AbortSignal) => Promise<Answer>,
  ): Promise<Told<Answer>> {
    const { signal } = this.#closing;
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      const isJustStarted = attempt === 1 && generation !== undefined;
      if (!isJustStarted && !(await this.#isUp(boxId, generation))) return { lost: boxEnded };
      try {
        const guest = this.#options.guests.of(boxId);
        return guest === null ? { lost: boxEnded } : { answer: await question(guest, signal) };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof BoxledgerError) || !error.retry) return { lost: failureOf(error) };
      }
      await sleep(backoffMs(this.#options.backoff, attempt), undefined, { signal, ref: false });
    }
  }

  async #isUp(boxId: BoxId, generation: number | undefined): Promise<boolean> {
    const view = await this.#persist('a box', () => this.#options.boxes.view(boxId));
    if (view === undefined || !upStates.has(view.state)) return false;
    return generation === undefined || view.generation === generation;
  }

  async #report({ execId, meta }: KeptExec, report: Report): Promise<void> {
    const { door, log } = this.#options;
    const id = commandId(`${execId}.${report.type}`);
    const answer = await this.#persist('what became of an exec', () =>
      door.submit(report, { ...meta, commandId: id }),
    );
    if (answer.kind === 'refused')
      log.warn({ execId, refusal: answer.refusal }, 'what became of an exec was not heard');
  }

  #persist<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { backoff, log } = this.#options;
    return persist(what, { backoff, log, signal: this.#closing.signal }, work);
  }
}

const boxEnded: Failure = {
  code: 'Unavailable',
  message: 'the box ended before it said how the program ended',
};
