import { status } from '@grpc/grpc-js';
import type { ErrorCode } from '../kernel/errors.ts';

/** The one place where a code of ours becomes one of gRPC's, and the other way round: for the API and the guest's protocol. */
export const statusOfCode = {
  InvalidArgument: status.INVALID_ARGUMENT,
  NotFound: status.NOT_FOUND,
  AlreadyExists: status.ALREADY_EXISTS,
  InvalidState: status.FAILED_PRECONDITION,
  Conflict: status.ABORTED,
  ResourceExhausted: status.RESOURCE_EXHAUSTED,
  Unsupported: status.UNIMPLEMENTED,
  DeadlineExceeded: status.DEADLINE_EXCEEDED,
  Unavailable: status.UNAVAILABLE,
  Unauthenticated: status.UNAUTHENTICATED,
  PermissionDenied: status.PERMISSION_DENIED,
  Internal: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

const codes: Readonly<Record<status, ErrorCode>> = {
  [status.OK]: 'Internal',
  [status.CANCELLED]: 'Unavailable', // not by us: the other side dropped the call
  [status.UNKNOWN]: 'Internal',
  [status.INVALID_ARGUMENT]: 'InvalidArgument',
  [status.DEADLINE_EXCEEDED]: 'DeadlineExceeded',
  [status.NOT_FOUND]: 'NotFound',
  [status.ALREADY_EXISTS]: 'AlreadyExists',
  [status.PERMISSION_DENIED]: 'PermissionDenied',
  [status.RESOURCE_EXHAUSTED]: 'ResourceExhausted',
  [status.FAILED_PRECONDITION]: 'InvalidState',
  [status.ABORTED]: 'Conflict',
  [status.OUT_OF_RANGE]: 'InvalidArgument',
  [status.UNIMPLEMENTED]: 'Unsupported',
  [status.INTERNAL]: 'Internal',
  [status.UNAVAILABLE]: 'Unavailable',
  [status.DATA_LOSS]: 'Internal',
  [status.UNAUTHENTICATED]: 'Unauthenticated',
};

/** For errors that do not say which of our codes they are. What is no status of gRPC's is `Internal`. */
export const codeOfStatus = (received: status): ErrorCode =>
  Object.hasOwn(codes, received) ? codes[received] : 'Internal';
