/** A place in the global order: first by transaction, then by position. Both are 64-bit numbers in decimal. */
export interface Place {
  readonly transactionId: string;
  readonly position: string;
}

/** Before every event. */
export const beginning: Place = { transactionId: '0', position: '0' };

/** Negative when `a` comes before `b`. */
export const comparePlaces = (a: Place, b: Place): number =>
  compareDecimals(a.transactionId, b.transactionId) || compareDecimals(a.position, b.position);

/** No number is made of them: this is done for every event. A minus sign is only in a row that somebody has changed. */
const compareDecimals = (a: string, b: string): number => {
  if (a === b) return 0;
  if (a.startsWith('-') || b.startsWith('-')) return BigInt(a) < BigInt(b) ? -1 : 1;
  return a.length - b.length || (a < b ? -1 : 1);
};

export const samePlace = (a: Place, b: Place): boolean =>
  a.transactionId === b.transactionId && a.position === b.position;

/** As readers write it. */
export const placeText = ({ transactionId, position }: Place): string => `${transactionId}.${position}`;
