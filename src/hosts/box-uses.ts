import { EventEmitter } from 'eventemitter3';
import type { ExecDirectory } from '../commands/event-store.ts';
import type { Command } from '../events/commands.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import { type BoxId, execStream, type HostId, type StreamId } from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';
import { msOf } from '../kernel/time.ts';
import type { LastUse } from './box-timers.ts';

const pageSize = 500;

/**
 * Which boxes are in use on this host, and, of those that somebody asks to follow, when they last were: by the execs that the log
 * tells of, and by the copies that go through their guests.
 *
 * Execs outlive the host's process: those that are under way are looked up at its start, and so is when boxes that it may take over
 * were last used. Whoever takes a box over comes to the same moment as whoever had it before.
 */
export class BoxUses {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #emitter = new EventEmitter<{ idle: [BoxId] }>();
  /** The streams of execs, and a token for each copy. */
  readonly #underWay = new Map<BoxId, Set<StreamId | symbol>>();
  readonly #boxOf = new Map<StreamId, BoxId>();
  /** Of the boxes that are followed. */
  readonly #lastMs = new Map<BoxId, number>();

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /**
   * The execs of the host's boxes that have not ended, and the last uses of those that may be idle. Call it before any can be
   * asked for.
   */
  async recover(execs: Pick<ExecDirectory, 'open' | 'lastUses'>, hostId: HostId): Promise<void> {
    const open = (after: string) => execs.open(hostId, after, pageSize);
    for await (const { execId, boxId } of paged(open, (exec) => exec.execId))
      this.#beginExec(boxId, execStream(execId));
    const lastUses = (after: string) => execs.lastUses(hostId, after, pageSize);
    for await (const { boxId, lastUsedAt } of paged(lastUses, (use) => use.boxId))
      this.#lastMs.set(boxId, lastUsedAt === null ? 0 : msOf(lastUsedAt));
  }

  /** From now on it is known when the box was last used: now, if nothing is known yet. Asked for again, nothing changes. */
  follow(boxId: BoxId): void {
    if (!this.#lastMs.has(boxId)) this.#lastMs.set(boxId, this.#nowMs());
  }

  unfollow(boxId: BoxId): void {
    this.#lastMs.delete(boxId);
  }

  /** Of a box that is not followed: now. */
  of(boxId: BoxId): LastUse {
    return this.#underWay.has(boxId) ? 'in-use' : (this.#lastMs.get(boxId) ?? this.#nowMs());
  }

  /** Something that no event begins is under way in the box, until what is returned is called. */
  begin(boxId: BoxId): () => void {
    const use = Symbol('use');
    this.#add(boxId, use);
    return () => this.#end(boxId, use);
  }

  hear(events: readonly RecordedEvent<DomainEvent>[]): void {
    for (const { streamId, ...event } of events)
      switch (event.type) {
        case 'exec.requested':
          this.#beginExec(event.data.boxId, streamId);
          break;
        case 'exec.exited':
        case 'exec.failed':
        case 'exec.lost':
          this.#endExec(streamId);
          break;
        default: // of no exec, or neither its beginning nor its end
      }
  }

  /** The command was carried out, and what it appended was not heard. An exec whose beginning was not heard is never run. */
  missed(command: Command): void {
    switch (command.type) {
      case 'exec.reportExited':
      case 'exec.reportFailed':
      case 'exec.reportLost':
        this.#endExec(execStream(command.execId));
        break;
      default: // ends no exec
    }
  }

  /** Calls `listener` when the last use of a box that is followed is over. */
  onIdle(listener: (boxId: BoxId) => void): void {
    this.#emitter.on('idle', listener);
  }

  #beginExec(boxId: BoxId, streamId: StreamId): void {
    this.#boxOf.set(streamId, boxId);
    this.#add(boxId, streamId);
  }

  #endExec(streamId: StreamId): void {
    const boxId = this.#boxOf.get(streamId);
    this.#boxOf.delete(streamId);
    if (boxId !== undefined) this.#end(boxId, streamId);
  }

  #add(boxId: BoxId, use: StreamId | symbol): void {
    this.#underWay.set(boxId, (this.#underWay.get(boxId) ?? new Set()).add(use));
  }

  #end(boxId: BoxId, use: StreamId | symbol): void {
    const uses = this.#underWay.get(boxId);
    if (uses === undefined || !uses.delete(use) || uses.size > 0) return;
    this.#underWay.delete(boxId);
    if (!this.#lastMs.has(boxId)) return;
    this.#lastMs.set(boxId, this.#nowMs());
    this.#emitter.emit('idle', boxId);
  }

  #nowMs(): number {
    return msOf(this.#clock.now());
  }
}

/** Every row of a list that is given page by page, each page after the key of the last row before. */
async function* paged<Row>(
  pageAfter: (after: string) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): AsyncGenerator<Row> {
  for (let after = ''; ; ) {
    const page = await pageAfter(after);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return;
    after = keyOf(last);
  }
}
