import type { EffectResult } from '../events/effects.ts';
import { type Failure, failureOf } from '../events/failure.ts';
import type { BoxId } from '../kernel/ids.ts';
import { withinLimit } from './time-limit.ts';
import type { Workshop } from './workshop.ts';

/**
 * Asks the guest to freeze its file systems, as well as it can. `freezeFailure`: why they are not; there is none where the driver
 * has no guest.
 */
export const quiesce = async (
  { guests, limits }: Pick<Workshop, 'guests' | 'limits'>,
  boxId: BoxId,
  signal: AbortSignal,
): Promise<EffectResult<'vm.pause'>> => {
  const guest = guests.of(boxId);
  if (guest === null) return { consistency: 'crash' };
  try {
    const { frozen, detail } = await withinLimit('quiesce', limits.freezeMs, signal, (limited) =>
      guest.quiesce(limited),
    );
    return frozen
      ? { consistency: 'file-system' }
      : { consistency: 'crash', freezeFailure: { code: 'Unsupported', message: detail } };
  } catch (error) {
    return { consistency: 'crash', freezeFailure: failureOf(error) };
  }
};

/** Undefined when the guest has thawed, or there is none. */
export const thaw = async (
  { guests, limits }: Pick<Workshop, 'guests' | 'limits'>,
  boxId: BoxId,
  signal: AbortSignal,
): Promise<Failure | undefined> => {
  const guest = guests.of(boxId);
  if (guest === null) return undefined;
  try {
    await withinLimit('thaw', limits.thawMs, signal, (limited) => guest.thaw(limited));
    return undefined;
  } catch (error) {
    return failureOf(error);
  }
};
