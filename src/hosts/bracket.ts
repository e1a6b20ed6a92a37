import type { EffectContext } from '../effects/effect-handler.ts';
import type { BracketPlan, BracketReport } from '../events/disk-operations.ts';
import type { EffectKind } from '../events/effects.ts';
import type { ProcessIdentity } from '../events/process.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId } from '../kernel/ids.ts';
import { quiesce, thaw } from './quiesce.ts';
import type { Workshop } from './workshop.ts';

interface BracketWork<Result> {
  /** Takes away what an attempt that died has left; before anything is held, as it may take its time. */
  readonly startAfresh: () => Promise<void>;
  readonly work: () => Promise<Result>;
}

interface Bracketed<Result> {
  readonly result: Result;
  readonly bracket: BracketReport;
}

/**
 * The quiesce bracket: freeze the file systems, pause the processes, work, resume, thaw. However the work ends, the box is
 * running and thawed afterwards. Where this process dies within it, the effect's next attempt begins by releasing the box,
 * and so does whoever finds it frozen while the log says that it runs (`remedyFor`).
 */
export const inBracket = async <Kind extends EffectKind, Result>(
  shop: Workshop,
  context: EffectContext<Kind>,
  plan: BracketPlan,
  { startAfresh, work }: BracketWork<Result>,
): Promise<Bracketed<Result>> => {
  const diedBefore = context.attempt > 1;
  if (plan.kind === 'held') {
    const { consistency } = plan;
    if (diedBefore) await startAfresh();
    return { result: await work(), bracket: { consistency, freezeMs: 0, pausedMs: 0, thawMs: 0 } };
  }
  const { boxId, kind } = context.intent;
  const { process } = plan;
  if (diedBefore) {
    await release(shop, boxId, process);
    await startAfresh();
  }
  const lap = stopwatch(shop);
  const quiesced = await quiesce(shop, boxId, context.signal);
  const freezeMs = lap();
  context.crash('bracket.frozen', kind);
  try {
    if (plan.consistency === 'required' && quiesced.consistency !== 'file-system')
      throw notQuiesced(quiesced);
    await shop.driver.freeze(boxId, process);
    context.crash('bracket.paused', kind);
    const result = await work();
    context.crash('bracket.copied', kind);
    await shop.driver.unfreeze(boxId, process);
    const pausedMs = lap();
    context.crash('bracket.resumed', kind);
    const thawFailure = await thaw(shop, boxId, context.signal);
    const report = { ...quiesced, freezeMs, pausedMs, thawMs: lap() };
    return { result, bracket: thawFailure === undefined ? report : { ...report, thawFailure } };
  } catch (error) {
    // Also when the effect was broken off: whoever did that finds a box that runs.
    await release(shop, boxId, process).catch((err: unknown) =>
      shop.log.warn({ err, boxId }, 'a box could not be released; it is when it is looked at next'),
    );
    throw error;
  }
};

/** What is not frozen is left as it is. The guest is asked in any case: its file systems may be, when its processes are not. */
const release = async (shop: Workshop, boxId: BoxId, process: ProcessIdentity): Promise<void> => {
  await shop.driver.unfreeze(boxId, process);
  const failure = await thaw(shop, boxId, new AbortController().signal);
  if (failure !== undefined) shop.log.warn({ failure, boxId }, 'the file systems could not be thawed');
};

const notQuiesced = ({ freezeFailure }: Pick<BracketReport, 'freezeFailure'>) =>
  new BoxledgerError('Unsupported', 'the file systems of the box could not be frozen', {
    help: 'Ask for best-effort consistency, or stop the box first.',
    details: { freezeFailure: freezeFailure?.message ?? null },
  });

/** Each call: whole milliseconds since the one before. */
const stopwatch = ({ clock }: Pick<Workshop, 'clock'>) => {
  let last = clock.monotonicMs();
  return () => {
    const before = last;
    last = clock.monotonicMs();
    return Math.round(last - before);
  };
};
