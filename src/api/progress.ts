import type { Progress } from '../events/progress.ts';
import type { OperationProgress } from '../gen/boxledger/v1/disk_service.ts';
import type { EffectId } from '../kernel/ids.ts';

/** Where it is heard how far effects are that are being carried out now. */
export interface ProgressSource {
  /** Until what is returned is called. */
  watch(effectId: EffectId, onProgress: (progress: Progress) => void): () => void;
}

/** What every stream of an operation can say. */
export interface ProgressMessage {
  readonly message: { readonly $case: 'progress'; readonly value: OperationProgress };
}

/**
 * How far the effect is, as it is said, while `work` waits for its outcome; returns what the work does. A reader that does not
 * keep up gets the newest only.
 */
export async function* progressUntil<Result>(
  source: ProgressSource,
  effectId: EffectId,
  work: () => Promise<Result>,
): AsyncGenerator<ProgressMessage, Result, undefined> {
  let newest: Progress | undefined;
  let isOver = false;
  let proceed: () => void = () => undefined;
  const unwatch = source.watch(effectId, (progress) => {
    newest = progress;
    proceed();
  });
  const over = () => {
    isOver = true;
    proceed();
  };
  const working = work();
  working.then(over, over);
  try {
    for (;;) {
      if (newest !== undefined) {
        const { bytes, totalBytes } = newest;
        newest = undefined;
        const value = {
          bytes: BigInt(bytes),
          totalBytes: totalBytes === null ? undefined : BigInt(totalBytes),
        };
        yield { message: { $case: 'progress', value } };
      } else if (isOver) return await working;
      else
        await new Promise<void>((resolve) => {
          proceed = resolve;
        });
    }
  } finally {
    unwatch();
  }
}
