import type { BoxRecord } from '../commands/event-store.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { type BoxId, boxId } from '../kernel/ids.ts';
import { type Timestamp, timestampFromMs } from '../kernel/time.ts';

const pattern = /^(\d{1,15})\.(bx_[0-9a-z]+)$/;

/** Where a list of boxes in order of creation goes on: after this box. */
export const pageToken = (last: BoxRecord): string => `${Date.parse(last.createdAt)}.${last.boxId}`;

export const afterToken = (token: string): { createdAt: Timestamp | '-infinity'; boxId: BoxId | '' } => {
  if (token === '') return { createdAt: '-infinity', boxId: '' };
  const [, createdAtMs, id] = pattern.exec(token) ?? [];
  try {
    return { createdAt: timestampFromMs(Number(createdAtMs)), boxId: boxId(id ?? '') };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw BoxledgerError.fromRefusal(
      invalidArgument([{ field: 'page_token', problem: 'was not given out by this list' }]),
    );
  }
};
