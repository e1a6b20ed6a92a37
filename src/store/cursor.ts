import type { Cursor } from '../commands/event-store.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';

/** A place in the order of `sql/read-all.sql`; both are 64-bit numbers as text. */
export interface Place {
  readonly transactionId: string;
  readonly position: string;
}

const beginning: Place = { transactionId: '0', position: '0' };
const cursorPattern = /^(\d{1,19})\.(\d{1,18})$/;

export const cursorOf = ({ transactionId, position }: Place): Cursor => `${transactionId}.${position}`;

/** Throws `InvalidArgument` for what is no cursor. */
export const placeOf = (cursor: Cursor): Place => {
  if (cursor === '') return beginning;
  const [, transactionId, position] = cursorPattern.exec(cursor) ?? [];
  if (transactionId === undefined || position === undefined)
    throw BoxledgerError.fromRefusal(
      invalidArgument([{ field: 'cursor', problem: 'is not a cursor of this log' }]),
    );
  return { transactionId, position };
};

export const isAfter = (place: Place, other: Place): boolean => {
  const [transaction, otherTransaction] = [BigInt(place.transactionId), BigInt(other.transactionId)];
  return transaction === otherTransaction
    ? BigInt(place.position) > BigInt(other.position)
    : transaction > otherTransaction;
};

/** After everything below the horizon: positions begin with 1. Never before `cursor`, which may come from another server. */
export const cursorAtHorizon = (horizon: string, cursor: Cursor): Cursor =>
  BigInt(horizon) > BigInt(placeOf(cursor).transactionId)
    ? cursorOf({ transactionId: horizon, position: '0' })
    : cursor;
