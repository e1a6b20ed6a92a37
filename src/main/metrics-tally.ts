import type { EffectEnd, ExecCounts, ServiceCounts } from '../api/service-counts.ts';
import type { Answer } from '../commands/door.ts';
import type { Command } from '../events/commands.ts';
import type { EffectKind } from '../events/effects.ts';
import type { DomainEvent, RecordedEvent } from '../events/envelope.ts';
import type { Timestamp } from '../kernel/time.ts';

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

  #happened({ type }: RecordedEvent<DomainEvent>): void {
    this.#events.set(type, this.#count(type) + 1);
  }
}
