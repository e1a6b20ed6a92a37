import type { EffectKind } from '../events/effects.ts';
import type { BoxId } from '../kernel/ids.ts';

interface Occupant {
  readonly kind: EffectKind;
  readonly overtake: () => void;
  readonly left: Promise<void>;
}

/**
 * On one host, one lifecycle effect of a box runs at a time. A shutdown overtakes: the effect that runs is told to stop,
 * and the shutdown begins when its handler has ended. Nothing else overtakes, nor is a shutdown itself overtaken.
 */
export class BoxLanes {
  readonly #occupants = new Map<BoxId, Occupant>();

  /** Resolves when the box is this effect's alone; what it resolves with gives the box back. */
  async enter(boxId: BoxId, kind: EffectKind, overtake: () => void): Promise<() => void> {
    for (;;) {
      const occupant = this.#occupants.get(boxId);
      if (occupant === undefined) break;
      if (kind === 'vm.shutdown' && occupant.kind !== 'vm.shutdown') occupant.overtake();
      await occupant.left;
    }
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const occupant = { kind, overtake, left };
    this.#occupants.set(boxId, occupant);
    return () => {
      if (this.#occupants.get(boxId) === occupant) this.#occupants.delete(boxId);
      leave();
    };
  }

  /** Whether an effect of the box runs here now. */
  occupied(boxId: BoxId): boolean {
    return this.#occupants.has(boxId);
  }
}
