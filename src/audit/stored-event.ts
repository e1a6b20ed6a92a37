/**
 * An event exactly as it is stored, every field as text: nothing is parsed, upcast or believed, so that whatever somebody
 * has put into a row can be looked at.
 */
export interface StoredEvent extends Place {
  readonly streamId: string;
  /** Decimal, as are `schemaVersion` and the place. */
  readonly version: string;
  readonly type: string;
  readonly schemaVersion: string;
  /** JSON text, not in any particular form. */
  readonly data: string;
  readonly tenant: string;
  readonly actorKind: string;
  readonly actorId: string;
  readonly reason: string | null;
  readonly commandId: string;
  readonly correlationId: string;
  readonly causationId: string | null;
  readonly traceparent: string | null;
  /** RFC 3339 in UTC with three decimals; other text when the row holds no such moment. */
  readonly occurredAt: string;
  /** 64 hexadecimal digits, lower case. */
  readonly hash: string;
}

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
