import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError, type ErrorCode } from '../kernel/errors.ts';

const codeOfErrno: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'NotFound',
  ENOTDIR: 'NotFound',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EROFS: 'PermissionDenied',
  EEXIST: 'AlreadyExists',
  ENOTEMPTY: 'AlreadyExists',
  EISDIR: 'AlreadyExists',
  E2BIG: 'InvalidArgument',
  EINVAL: 'InvalidArgument',
  ELOOP: 'InvalidArgument',
  ENAMETOOLONG: 'InvalidArgument',
  EAGAIN: 'ResourceExhausted',
  EDQUOT: 'ResourceExhausted',
  EFBIG: 'ResourceExhausted',
  EMFILE: 'ResourceExhausted',
  ENFILE: 'ResourceExhausted',
  ENOMEM: 'ResourceExhausted',
  ENOSPC: 'ResourceExhausted',
};

/** An operating system's error as one of ours; `what` says what could not be done, without a full stop. */
export const fromErrno = (error: unknown, what: string): BoxledgerError => {
  if (error instanceof BoxledgerError) return error;
  const errno = errnoOf(error);
  const code = errno === undefined ? 'Internal' : (codeOfErrno[errno] ?? 'Internal');
  const reason = errno ?? (error instanceof Error ? error.message : String(error));
  return new BoxledgerError(code, `${what}: ${reason}`, {
    cause: error,
    ...(errno === undefined ? {} : { details: { errno } }),
  });
};
