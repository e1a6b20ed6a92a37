import { codeOfErrno, errnoOf } from '../../kernel/errno.ts';
import { BoxledgerError } from '../../kernel/errors.ts';

/** What the operating system refused, as an error of ours; errors of ours and reasons of an abort stay what they are. */
export const asBoxledgerError = (error: unknown, doing: string, signal?: AbortSignal): unknown => {
  const errno = errnoOf(error);
  if (error instanceof BoxledgerError || errno === undefined || (signal?.aborted && error === signal.reason))
    return error;
  const path = (error as NodeJS.ErrnoException).path;
  return new BoxledgerError(
    codeOfErrno[errno] ?? 'Internal',
    `${doing}: ${errno}${path ? ` at ${path}` : ''}`,
    {
      details: { errno, ...(path ? { path } : {}) },
      cause: error,
    },
  );
};
