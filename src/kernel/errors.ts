import type { JsonObject } from './json.ts';

/**
 * The codes a caller can meet. Each is mapped to a wire status in one place (`wire/status-codes.ts`).
 * `retry` of an error says whether the same call may succeed later without anything being changed.
 */
export const errorCodes = [
  'InvalidArgument',
  'NotFound',
  'AlreadyExists',
  'InvalidState',
  'Conflict',
  'ResourceExhausted',
  'Unsupported',
  'DeadlineExceeded',
  'Unavailable',
  'Unauthenticated',
  'PermissionDenied',
  'Internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** One thing that is wrong with one field. `field` is a path such as `options.env.PATH`. */
export interface Fault {
  readonly field: string;
  readonly problem: string;
}

/** The domain says no. A value, not an exception, until it reaches the edge. */
export interface Refusal {
  readonly code: ErrorCode;
  /** What is wrong, in one sentence. */
  readonly message: string;
  /** What the caller can do about it, in one sentence. */
  readonly help?: string;
  readonly faults?: readonly Fault[];
  readonly details?: JsonObject;
}

interface BoxledgerErrorOptions {
  readonly help?: string | undefined;
  readonly faults?: readonly Fault[] | undefined;
  readonly details?: JsonObject | undefined;
  readonly cause?: unknown;
}

/** Base of every error that leaves boxledger. */
export class BoxledgerError extends Error {
  readonly code: ErrorCode;
  readonly retry: boolean;
  readonly help: string | undefined;
  readonly faults: readonly Fault[];
  readonly details: JsonObject;

  constructor(code: ErrorCode, message: string, options: BoxledgerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
    this.retry = code === 'Unavailable' || code === 'ResourceExhausted';
    this.help = options.help;
    this.faults = options.faults ?? [];
    this.details = options.details ?? {};
  }

  static fromRefusal(refusal: Refusal): BoxledgerError {
    return new BoxledgerError(refusal.code, refusal.message, refusal);
  }
}

export const invalidArgument = (faults: readonly Fault[]): Refusal => ({
  code: 'InvalidArgument',
  message:
    faults.length === 1
      ? `${faults[0]?.field}: ${faults[0]?.problem}`
      : `${faults.length} faults: ${faults.map(({ field, problem }) => `${field}: ${problem}`).join('; ')}`,
  help: 'Correct every field named and call again; nothing was changed.',
  faults,
});
