import type { Metadata, ServiceError } from '@grpc/grpc-js';
import { z } from 'zod';
import { ErrorDetail } from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { codeOfStatus } from '../wire/status-codes.ts';

/** What a guest says of an error is shown to users: no control characters, and no more than a screen of it. */
const textMaxCharacters = 1000;
const guestText = z.string().transform((text) =>
  text
    .slice(0, textMaxCharacters)
    .replace(/\p{Cc}/gu, '\uFFFD')
    .toWellFormed(),
);
const detailSchema = z.object({
  faults: z.array(z.object({ field: guestText, problem: guestText })).max(10),
  help: guestText,
  errno: z.string().regex(/^[A-Z0-9]{0,32}$/),
});

/** A call's failure as one of our errors. */
export const fromStatus = (error: unknown): BoxledgerError => {
  if (!isServiceError(error))
    return new BoxledgerError('Unavailable', 'the call to the guest broke', { cause: error });
  const message = guestText.parse(error.details);
  const detail = detailOf(error.metadata);
  return new BoxledgerError(codeOfStatus(error.code), message, {
    cause: error,
    help: detail.help || undefined,
    faults: detail.faults,
    details: detail.errno === '' ? undefined : { errno: detail.errno },
  });
};

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'details' in error && 'metadata' in error;

const noDetail = { faults: [], help: '', errno: '' };

const detailOf = (metadata: Metadata | undefined): z.infer<typeof detailSchema> => {
  const [bytes] = metadata?.get('boxledger-error-bin') ?? [];
  if (!(bytes instanceof Buffer)) return noDetail;
  try {
    return detailSchema.parse(ErrorDetail.decode(bytes));
  } catch {
    return noDetail; // a guest that garbles its details has still said its status
  }
};

/** The guest said what no agent of ours says. Its call is closed. */
export const brokenProtocol = (problem: string): BoxledgerError =>
  new BoxledgerError('Internal', `the guest does not keep to the protocol: ${problem}`, {
    help: 'Do not trust what runs in this box; stop it.',
  });

/** What a call that was ended by its signal throws: a timeout as one of our errors, any other reason as it is. */
export const endedBy = (signal: AbortSignal, what: string): unknown =>
  signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError'
    ? new BoxledgerError('DeadlineExceeded', `${what} took too long`, { cause: signal.reason })
    : signal.reason;
