import { LRUCache } from 'lru-cache';
import type { EffectEnd, ExecCounts, ServiceCounts } from '../api/service-counts.ts';
import type { Answer } from '../commands/door.ts';
import type { Command } from '../events/commands.ts';
import type { EffectKind } from '../events/effects.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { BoxId, StreamId } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';

/** How many boxes, and execs that have not ended, are counted one by one; those that were heard of last. */
const remembered = 100_000;
const none: ExecCounts = { execs: 0, errors: 0 };

/**
 * Counts what goes through this server's door as it passes: nothing is read for it, and a box at rest costs nothing. A
 * repeated command, which appends nothing, is not counted twice. What a restart forgets, the log still has.
 */
export class ServiceTally implements ServiceCounts {
  readonly since: Timestamp;
  readonly #events = new Map<DomainEvent['type'], number>();
  readonly #effects = new Map<
    string,
    { readonly kind: EffectKind; readonly end: EffectEnd; count: number }
  >();
  readonly #execs = new LRUCache<BoxId, ExecCounts>({ max: remembered });
  readonly #openExecs = new LRUCache<StreamId, BoxId>({ max: remembered });

  constructor(since: Timestamp) {
    this.since = since;
  }

  answered(command: Command, answer: Answer): void {
    if (command.type === 'box.settleEffect') this.#settled(command, answer);
    if (answer.kind === 'accepted') for (const event of answer.events) this.#happened(event);
  }

  get events(): ReadonlyMap<DomainEvent['type'], number> {
    return this.#events;
  }

  get boxesCreated(): number {
    return this.#count('box.created');
  }

  get startsFailed(): number {
    return this.#count('box.startFailed');
  }

  get boxesStopped(): number {
    return this.#count('box.stopped') + this.#count('box.exited');
  }

  get execs(): ExecCounts {
    return {
      execs: this.#count('exec.requested'),
      errors: this.#count('exec.failed') + this.#count('exec.lost'),
    };
  }

  get effects() {
    return [...this.#effects.values()];
  }

  execsOf(boxId: BoxId): ExecCounts {
    return this.#execs.peek(boxId) ?? none;
  }

  #count(type: DomainEvent['type']): number {
    return this.#events.get(type) ?? 0;
  }

  #settled({ outcome }: Extract<Command, { type: 'box.settleEffect' }>, answer: Answer): void {
    if (answer.kind === 'accepted' && answer.events.length === 0) return; // it had been heard before
    const { kind } = outcome;
    const end = answer.kind === 'accepted' ? outcome.outcome.status : 'unheard';
    const key = `${kind} ${end}`;
    const known = this.#effects.get(key) ?? { kind, end, count: 0 };
    known.count += 1;
    this.#effects.set(key, known);
  }

  #happened(event: RecordedEvent<DomainEvent>): void {
    this.#events.set(event.type, this.#count(event.type) + 1);
    const { streamId } = event;
    if (event.type === 'exec.requested') {
      const { boxId } = event.data;
      this.#openExecs.set(streamId, boxId);
      const { execs, errors } = this.execsOf(boxId);
      this.#execs.set(boxId, { execs: execs + 1, errors });
    } else if (event.type === 'exec.failed' || event.type === 'exec.lost' || event.type === 'exec.exited') {
      const boxId = this.#openExecs.get(streamId);
      this.#openExecs.delete(streamId);
      if (boxId === undefined || event.type === 'exec.exited') return;
      const { execs, errors } = this.execsOf(boxId);
      this.#execs.set(boxId, { execs, errors: errors + 1 });
    }
  }
}
