import { codeOfErrno, errnoOf } from './errno.ts';
import { BoxledgerError, type ErrorCode } from './errors.ts';

/** Besides those: what is wrong with a path or a program that the caller has named. */
const codes: Readonly<Record<string, ErrorCode>> = {
  ...codeOfErrno,
  ENOENT: 'NotFound',
  ENOTDIR: 'NotFound',
  EEXIST: 'AlreadyExists',
  ENOTEMPTY: 'AlreadyExists',
  EISDIR: 'AlreadyExists',
  E2BIG: 'InvalidArgument',
  EINVAL: 'InvalidArgument',
  ELOOP: 'InvalidArgument',
  ENAMETOOLONG: 'InvalidArgument',
  EFBIG: 'ResourceExhausted',
};

/** An operating system's error as one of ours; `what` says what could not be done, without a full stop. */
export const fromErrno = (error: unknown, what: string): BoxledgerError => {
  if (error instanceof BoxledgerError) return error;
  const errno = errnoOf(error);
  const code = errno === undefined ? 'Internal' : (codes[errno] ?? 'Internal');
  const reason = errno ?? (error instanceof Error ? error.message : String(error));
  return new BoxledgerError(code, `${what}: ${reason}`, {
    cause: error,
    ...(errno === undefined ? {} : { details: { errno } }),
  });
};
