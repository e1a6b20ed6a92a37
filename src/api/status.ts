import { randomUUID } from 'node:crypto';
import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from 'nice-grpc-error-details';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import type { Logger } from 'pino';
import { BoxledgerError, type Fault } from '../kernel/errors.ts';
import type { JsonObject, JsonValue } from '../kernel/json.ts';
import { limits, utf8Bytes } from '../kernel/limits.ts';
import { statusOfCode } from '../wire/status-codes.ts';

const domain = 'boxledger';
const detailsKey = 'grpc-status-details-bin';
const retryAfterSeconds = 1;

/**
 * Any thrown thing as the status that ends a call: `google.rpc.Status` in the trailers with `ErrorInfo` (reason: our
 * code; metadata: `help`, and each detail as JSON), `BadRequest` for faults and `RetryInfo` where the same call may
 * succeed later. What is not a `BoxledgerError` is logged under an id, and the caller learns only the id.
 */
export const toStatus = (thrown: unknown, logger: Logger): StatusObject => {
  const error = thrown instanceof BoxledgerError ? thrown : concealed(thrown, logger);
  if (error === thrown && error.code === 'Internal') logger.error({ err: error }, 'a call failed');
  const code = statusOfCode[error.code];
  const message = shortened(error.message, limits.errorMessageMaxBytes);
  const faultsBudget = { bytes: limits.errorDetailsMaxBytes / 2 };
  const faults = withinBudget(error.faults, faultsBudget);
  const budget = { bytes: limits.errorDetailsMaxBytes / 2 + faultsBudget.bytes };
  const details = [
    any('ErrorInfo', ErrorInfo.encode(errorInfo(error, budget)).finish()),
    ...(faults.length === 0
      ? []
      : [
          any(
            'BadRequest',
            BadRequest.encode(BadRequest.fromPartial({ fieldViolations: faults.map(violation) })).finish(),
          ),
        ]),
    ...(error.retry
      ? [
          any(
            'RetryInfo',
            RetryInfo.encode(
              RetryInfo.fromPartial({ retryDelay: { seconds: retryAfterSeconds, nanos: 0 } }),
            ).finish(),
          ),
        ]
      : []),
  ];
  const metadata = new Metadata();
  metadata.set(
    detailsKey,
    Buffer.from(Status.encode(Status.fromPartial({ code, message, details })).finish()),
  );
  return { code, details: message, metadata };
};

const concealed = (thrown: unknown, logger: Logger): BoxledgerError => {
  const errorId = randomUUID();
  logger.error({ err: thrown, errorId }, 'a call met a fault of the service');
  return new BoxledgerError('Internal', `The service failed; its log has the reason under ${errorId}.`, {
    details: { errorId },
  });
};

const any = (type: string, value: Uint8Array) => ({
  typeUrl: `type.googleapis.com/google.rpc.${type}`,
  value: Buffer.from(value),
});

const violation = ({ field, problem }: Fault) => ({ field, description: problem });

const errorInfo = (error: BoxledgerError, budget: { bytes: number }): ErrorInfo =>
  ErrorInfo.fromPartial({
    reason: error.code,
    domain,
    metadata: {
      ...(error.help === undefined ? {} : { help: shortened(error.help, limits.errorMessageMaxBytes) }),
      ...detailsWithinBudget(error.details, budget),
    },
  });

/** Short details first, so that a long console output takes what is left and no more. */
const detailsWithinBudget = (details: JsonObject, budget: { bytes: number }): Record<string, string> => {
  const kept: Record<string, string> = {};
  const bySize = Object.entries(details).sort(([, a], [, b]) => weight(a) - weight(b));
  for (const [key, value] of bySize) {
    const room = budget.bytes - utf8Bytes(key);
    const text = JSON.stringify(typeof value === 'string' ? ending(value, room - 2) : value);
    const bytes = utf8Bytes(text);
    if (bytes > room) continue;
    kept[key] = text;
    budget.bytes -= utf8Bytes(key) + bytes;
  }
  return kept;
};

const weight = (value: JsonValue) => JSON.stringify(value).length;

/** As many faults as the trailers hold; the message says how many there are. */
const withinBudget = (faults: readonly Fault[], budget: { bytes: number }): readonly Fault[] =>
  faults.filter(({ field, problem }) => {
    const bytes = utf8Bytes(field) + utf8Bytes(problem) + 16;
    if (bytes > budget.bytes) return false;
    budget.bytes -= bytes;
    return true;
  });

/** The beginning of `text` in at most `maxBytes` of UTF-8. */
export const shortened = (text: string, maxBytes: number): string => {
  const whole = text.toWellFormed();
  if (utf8Bytes(whole) <= maxBytes) return whole;
  const kept = Buffer.from(whole)
    .subarray(0, maxBytes - 3)
    .toString('utf8');
  return `${kept.replace(/\uFFFD$/u, '')}…`;
};

/** The end of `text`, which is the part of a console's output that says why, in at most `maxBytes` of JSON. */
const ending = (text: string, maxBytes: number): string => {
  let kept = text.toWellFormed();
  while (kept.length > 0 && utf8Bytes(JSON.stringify(kept)) - 2 > maxBytes)
    kept = kept.slice(Math.ceil(kept.length * 0.2)).toWellFormed();
  return kept;
};
