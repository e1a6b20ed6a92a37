import { EventEmitter } from 'eventemitter3';
import type { Progress } from '../events/progress.ts';
import type { EffectId } from '../kernel/ids.ts';

/** Where effects of this process say how far they are, for whoever looks at that moment. Nothing of it is kept. */
export class ProgressBoard {
  readonly #emitter = new EventEmitter<Record<string, [Progress]>>();

  report(effectId: EffectId, progress: Progress): void {
    this.#emitter.emit(effectId, progress);
  }

  /** Until what is returned is called. */
  watch(effectId: EffectId, onProgress: (progress: Progress) => void): () => void {
    this.#emitter.on(effectId, onProgress);
    return () => void this.#emitter.off(effectId, onProgress);
  }
}
