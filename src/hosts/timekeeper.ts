import type { Logger } from 'pino';
import type { Answer, CommandDoor } from '../commands/door.ts';
import type { Backoff } from '../effects/backoff.ts';
import { persist } from '../effects/persist.ts';
import type { BoxStateName, BoxView } from '../events/box-view.ts';
import { type BoxId, commandId, type HostId } from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';
import { msOf } from '../kernel/time.ts';
import { type Due, nextDue } from './box-timers.ts';
import type { BoxUses } from './box-uses.ts';
import { DueQueue } from './due-queue.ts';
import type { HostBoxes, PresentBox } from './host-boxes.ts';

export interface TimekeeperOptions {
  readonly hostId: HostId;
  readonly door: CommandDoor;
  readonly boxes: HostBoxes;
  readonly uses: BoxUses;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly log: Logger;
}

/** States in which what was under way in a box still may be. */
const upStates: ReadonlySet<BoxStateName> = new Set(['running', 'pausing', 'paused', 'resuming']);

/**
 * Holds the boxes of a host to the limits of time that they were given: submits what is due when it is.
 *
 * What it has heard of a box only says when to look. What is done is decided on the box as the log has it then, and entered
 * for that very version, so that a limit of one run never ends the next. Nothing of it is kept: the moments follow from the
 * views that are heard anew after a start.
 */
export class Timekeeper {
  readonly #options: TimekeeperOptions;
  readonly #closing = new AbortController();
  readonly #views = new Map<BoxId, BoxView>();
  readonly #queue: DueQueue<BoxId>;
  /** What was submitted and did not do away with what was due: it is not submitted again at once. */
  readonly #tried = new Map<BoxId, { readonly what: string; readonly againMs: number }>();

  constructor(options: TimekeeperOptions) {
    this.#options = options;
    this.#queue = new DueQueue({ clock: options.clock, onDue: (boxId) => void this.#keep(boxId) });
    options.uses.onIdle((boxId) => this.#setAgain(boxId));
  }

  /** The newest of a box that is known. One that is not heard of costs nothing but lateness. */
  hear(view: BoxView): void {
    const { boxId, placement, options, state } = view;
    const { uses, hostId } = this.#options;
    if (this.#closing.signal.aborted) return;
    if (placement?.hostId !== hostId || !upStates.has(state)) {
      this.#forget(boxId);
      return;
    }
    if (options.idleTimeoutMs !== undefined) uses.follow(boxId);
    this.#set(view);
  }

  close(): void {
    this.#closing.abort();
    this.#queue.close();
  }

  #set(view: BoxView): void {
    const { boxId, options } = view;
    const due = nextDue(view, this.#options.uses.of(boxId));
    // While it is paused, the use of a box that may be idle later is still followed.
    if (due === undefined && options.idleTimeoutMs === undefined) this.#views.delete(boxId);
    else this.#views.set(boxId, view);
    if (due === undefined || due.atMs === Number.POSITIVE_INFINITY) this.#queue.delete(boxId);
    else this.#queue.set(boxId, Math.max(due.atMs, this.#notBeforeMs(boxId, due)));
  }

  #setAgain(boxId: BoxId): void {
    const view = this.#views.get(boxId);
    if (view !== undefined) this.#set(view);
  }

  #forget(boxId: BoxId): void {
    this.#views.delete(boxId);
    this.#tried.delete(boxId);
    this.#queue.delete(boxId);
    this.#options.uses.unfollow(boxId);
  }

  async #keep(boxId: BoxId): Promise<void> {
    const { boxes, log, uses } = this.#options;
    try {
      const present = await this.#persist('a box whose time has come', () => boxes.present(boxId));
      if (present === undefined) {
        this.#forget(boxId);
        return;
      }
      const due = nextDue(present.view, uses.of(boxId));
      if (due !== undefined && due.atMs <= this.#nowMs() && this.#notBeforeMs(boxId, due) <= this.#nowMs())
        return await this.#submit(present, due);
      this.hear(present.view);
    } catch (err) {
      if (this.#closing.signal.aborted) return;
      log.error({ err, boxId }, 'a box could not be held to its limits; it is tried again');
      this.#queue.set(boxId, this.#nowMs() + this.#options.backoff.maxMs);
    }
  }

  async #submit({ view, version }: PresentBox, due: Due): Promise<void> {
    const { door, hostId, backoff, log } = this.#options;
    const { boxId, tenant, generation } = view;
    const { what, command, reason } = due;
    this.#tried.set(boxId, { what: nameOf(due), againMs: this.#nowMs() + backoff.maxMs });
    const answer: Answer = await this.#persist(`what is due of a box (${what})`, () =>
      door.submit(command, {
        tenant,
        actor: { kind: 'system', id: `host/${hostId}` },
        reason,
        // One for each state of the box: repeated it enters once, and after a resume that failed it is a new one.
        commandId: commandId(`${boxId}-${generation}-${what}-${version}`),
        expectedVersion: version,
      }),
    );
    if (answer.kind === 'accepted') return;
    log.debug({ boxId, what, answer }, 'what was due of a box was not taken');
    // It has moved on, which may have changed what is due; else something under way keeps it, and may for a while.
    if (answer.kind === 'refused' && answer.refusal.code === 'Conflict') this.#tried.delete(boxId);
    this.#setAgain(boxId);
  }

  #notBeforeMs(boxId: BoxId, due: Due): number {
    const tried = this.#tried.get(boxId);
    return tried?.what === nameOf(due) ? tried.againMs : 0;
  }

  #persist<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { backoff, log } = this.#options;
    return persist(what, { backoff, log, signal: this.#closing.signal }, work);
  }

  #nowMs(): number {
    return msOf(this.#options.clock.now());
  }
}

const nameOf = ({ what, atMs }: Due): string => `${what} ${atMs}`;
