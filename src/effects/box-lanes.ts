import type { EffectKind } from '../events/effects.ts';
import type { BoxId } from '../kernel/ids.ts';

/** An effect that wants a box for itself. */
interface Entrant {
  readonly kind: EffectKind;
  /** Tells it to stop; it still leaves by itself. */
  readonly overtake: () => void;
}

/**
 * On one host, one lifecycle effect of a box runs at a time. A shutdown overtakes: the effect that runs is told to stop,
 * and the shutdown begins when its handler has ended. Nothing else overtakes, nor is a shutdown itself overtaken.
 */
export class BoxLanes {
  readonly #occupied = new Map<
    BoxId,
    { readonly entrant: Entrant | undefined; readonly left: Promise<void> }
  >();

  /** Resolves when the box is the entrant's alone; what it resolves with gives the box back. */
  async enter(boxId: BoxId, entrant?: Entrant): Promise<() => void> {
    for (;;) {
      const lane = this.#occupied.get(boxId);
      if (lane === undefined) break;
      if (entrant?.kind === 'vm.shutdown' && lane.entrant?.kind !== 'vm.shutdown') lane.entrant?.overtake();
      await lane.left;
    }
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#occupied.set(boxId, { entrant, left });
    return () => {
      this.#occupied.delete(boxId);
      leave();
    };
  }
}
