import type { ErrorCode } from './errors.ts';

/** The operating system's name for what went wrong (`ENOENT`), or another library's own code; undefined for any other error. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Errnos that mean the same whatever was being done: the machine has no more of something, or does not allow it. */
export const codeOfErrno: Readonly<Record<string, ErrorCode>> = {
  EAGAIN: 'ResourceExhausted',
  EDQUOT: 'ResourceExhausted',
  EMFILE: 'ResourceExhausted',
  ENFILE: 'ResourceExhausted',
  ENOMEM: 'ResourceExhausted',
  ENOSPC: 'ResourceExhausted',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EROFS: 'PermissionDenied',
};
