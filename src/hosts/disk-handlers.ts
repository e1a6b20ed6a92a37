import { createHash } from 'node:crypto';
import type { DiskSource } from '../drivers/disks.ts';
import type { EffectContext, EffectHandler } from '../effects/effect-handler.ts';
import type { BracketPlan, BracketReport, Clone } from '../events/disk-operations.ts';
import type { EffectKind } from '../events/effects.ts';
import type { Progress } from '../events/progress.ts';
import type { BoxId, EffectId, SnapshotId } from '../kernel/ids.ts';
import { idAlphabet, idLength, snapshotId as parseSnapshotId } from '../kernel/ids.ts';
import type { JsonObject } from '../kernel/json.ts';
import { inBracket } from './bracket.ts';
import type { Workshop } from './workshop.ts';

/** The box is held for as long as it takes to keep its disk as it is, and not for what is then made of that. */
export const snapshotHandler =
  (shop: Workshop): EffectHandler<'disk.snapshot'> =>
  async ({ snapshotId, plan }, context) => {
    const { result, bracket } = await keep(shop, context, plan, { snapshotId });
    context.crash('snapshot.done', context.intent.kind);
    return { bracket, ...result };
  };

/** All of the clones or none: when one of them cannot be made, those that have been are taken away again. */
export const cloneHandler =
  (shop: Workshop): EffectHandler<'disk.clone'> =>
  ({ clones, plan }, context) =>
    fromScratch(shop, context, plan, {
      clear: () => removeMadeDisks(shop, context.intent.boxId, clones),
      work: async (from, bracket) => {
        const work = workOf(shop, context);
        const made: Clone[] = [];
        const make = async (clone: Clone) => {
          const copy = await shop.driver.cloneDisk(from, clone.boxId, work);
          made.push(clone);
          return copy;
        };
        try {
          let copy = await make(firstOf(clones));
          context.crash('clone.some', context.intent.kind);
          for (const clone of clones.slice(1)) copy = await make(clone);
          context.crash('clone.all', context.intent.kind);
          return { bracket, ...copy };
        } catch (error) {
          await removeDisks(shop, made); // a disk that was in the way is somebody's
          throw error;
        }
      },
    });

const removeDisks = async ({ driver }: Workshop, clones: readonly Clone[]): Promise<void> => {
  for (const { boxId } of clones) await driver.removeDisk(boxId);
};

/** Of those that were to be made of the box: any other disk was in the way of an attempt that died, and is somebody's. */
const removeMadeDisks = async (shop: Workshop, from: BoxId, clones: readonly Clone[]): Promise<void> => {
  for (const clone of clones) {
    const origin = await shop.driver.diskOrigin(clone.boxId);
    if (origin?.kind === 'clone' && origin.from === from) await removeDisks(shop, [clone]);
  }
};

export const exportHandler =
  (shop: Workshop): EffectHandler<'disk.export'> =>
  ({ exportId, name, options, plan }, context) =>
    fromScratch(shop, context, plan, {
      clear: () => shop.driver.removeExport(exportId),
      work: async (from, bracket) => {
        const { consistency } = bracket;
        const manifest = {
          boxledgerVersion: shop.version,
          // JSON, but for optional fields that TypeScript thinks may hold `undefined`.
          box: { name, options: options as unknown as JsonObject }, // JSON, but for optional fields
          createdAt: shop.clock.now(),
          consistency,
        };
        const figures = await shop.driver.exportDisk(from, exportId, manifest, workOf(shop, context));
        context.crash('export.written', context.intent.kind);
        return { bracket, ...figures };
      },
    });

export const restoreHandler =
  (shop: Workshop): EffectHandler<'disk.restore'> =>
  async ({ snapshotId }, context) => {
    const copy = await shop.driver.restoreDisk(context.intent.boxId, snapshotId, workOf(shop, context));
    context.crash('restore.done', context.intent.kind);
    return copy;
  };

export const snapshotRemovalHandler =
  (shop: Workshop): EffectHandler<'snapshot.remove'> =>
  async ({ snapshotId }, { intent: { boxId } }) => {
    await shop.driver.removeSnapshot(boxId, snapshotId);
    return {};
  };

const workOf = (
  { progress }: Workshop,
  { signal, intent }: Pick<EffectContext<EffectKind>, 'signal' | 'intent'>,
) => ({
  signal,
  onProgress: (done: Progress) => progress.report(intent.effectId, done),
});

interface Kept {
  readonly snapshotId: SnapshotId;
  /** Takes away what else an attempt that died may have made. */
  readonly clear?: () => Promise<void>;
}

/** What an attempt that died kept is of another moment, and worth what its own bracket came to: it is kept anew. */
const keep = <Kind extends EffectKind>(
  shop: Workshop,
  context: EffectContext<Kind>,
  plan: BracketPlan,
  { snapshotId, clear = async () => undefined }: Kept,
) => {
  const { driver } = shop;
  const { boxId } = context.intent;
  return inBracket(shop, context, plan, {
    startAfresh: async () => {
      await clear();
      await driver.removeSnapshot(boxId, snapshotId);
    },
    work: () => driver.snapshotDisk(boxId, snapshotId, workOf(shop, context)),
  });
};

interface ScratchWork<Result> {
  /** Takes away what an attempt that died made of its own scratch snapshot. */
  readonly clear: () => Promise<void>;
  readonly work: (from: DiskSource, bracket: BracketReport) => Promise<Result>;
}

/**
 * Works from a snapshot that is nobody's and goes again with the effect. One whose effect has ended otherwise goes when the box is
 * looked at next.
 */
const fromScratch = async <Kind extends EffectKind, Result>(
  shop: Workshop,
  context: EffectContext<Kind>,
  plan: BracketPlan,
  { clear, work }: ScratchWork<Result>,
): Promise<Result> => {
  const { boxId, effectId } = context.intent;
  const snapshotId = scratchSnapshotOf(effectId);
  try {
    const { bracket } = await keep(shop, context, plan, { snapshotId, clear });
    return await work({ boxId, snapshotId }, bracket);
  } finally {
    await shop.driver.removeSnapshot(boxId, snapshotId);
  }
};

/** Follows from the effect, so that its next attempt knows what the one before it left. */
const scratchSnapshotOf = (effectId: EffectId): SnapshotId => {
  const digest = createHash('sha256').update(effectId).digest();
  const text = Array.from(digest.subarray(0, idLength), (byte) => idAlphabet.charAt(byte % 32)).join('');
  return parseSnapshotId(`sn_${text}`);
};

const firstOf = <Item>([first]: readonly Item[]): Item => {
  if (first === undefined) throw new RangeError('a clone effect has at least one clone');
  return first;
};
