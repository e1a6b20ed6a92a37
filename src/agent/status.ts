import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { ErrorDetail } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { statusOfCode } from '../wire/status-codes.ts';

/** Trailing metadata must fit into one HTTP/2 header block, whatever a message names. */
const messageMaxCharacters = 1000;
const faultsMax = 10;

/** What the host is told of an error. */
export const statusOf = (error: unknown): StatusObject => {
  const known = error instanceof BoxledgerError ? error : unexpected(error);
  const errno = known.details['errno'];
  const metadata = new Metadata();
  const detail = ErrorDetail.encode({
    faults: known.faults
      .slice(0, faultsMax)
      .map(({ field, problem }) => ({ field: clipped(field, 100), problem: clipped(problem, 200) })),
    help: clipped(known.help ?? ''),
    errno: typeof errno === 'string' ? errno : '',
  }).finish();
  metadata.set('boxledger-error-bin', Buffer.from(detail));
  return { code: statusOfCode[known.code], details: clipped(known.message), metadata };
};

/** A status is sent percent-encoded, and half of a surrogate pair has no such form. */
const clipped = (text: string, characters = messageMaxCharacters) => text.slice(0, characters).toWellFormed();

const unexpected = (cause: unknown) =>
  new BoxledgerError('Internal', cause instanceof Error ? cause.message : String(cause), { cause });
