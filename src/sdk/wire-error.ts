import type { Metadata, ServiceError } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo } from 'nice-grpc-error-details/lib/proto/google/rpc/error_details.js';
import { Status } from 'nice-grpc-error-details/lib/proto/google/rpc/status.js';
import { BoxledgerError, errorCodes, type Fault } from '../kernel/errors.ts';
import type { JsonObject, JsonValue } from '../kernel/json.ts';
import { codeOfStatus } from '../wire/status-codes.ts';

/** What to do when nobody answers at the server's address. */
export const unreachableHelp =
  'Is the server running? Start it with `npm start` or `boxledger serve`, or say where it is with --addr or BOXLEDGER_ADDR.';

/**
 * The typed error that the server sent, read from `grpc-status-details-bin`: ErrorInfo's reason is the code, its
 * metadata hold `help` and each detail as JSON text; BadRequest's violations are the faults. An error without ErrorInfo
 * did not come from a boxledger server: it was made on the way, and its code follows from the gRPC status.
 */
export const wireError = (error: ServiceError, address: string): BoxledgerError => {
  const { info, faults } = richDetails(error.metadata);
  const code = errorCodes.find((known) => known === info?.reason);
  if (info === undefined || code === undefined) return errorOnTheWay(error, address);
  return new BoxledgerError(code, error.details, {
    help: info.metadata['help'],
    details: detailsOf(info.metadata),
    faults,
    cause: error,
  });
};

const errorOnTheWay = (error: ServiceError, address: string): BoxledgerError => {
  const code = codeOfStatus(error.code);
  if (code === 'Unavailable')
    return new BoxledgerError(code, `the server at ${address} cannot be reached`, {
      help: unreachableHelp,
      details: { address, transport: error.details },
      cause: error,
    });
  if (code === 'DeadlineExceeded')
    return new BoxledgerError(code, `the server at ${address} did not answer in time`, {
      help: 'Whether the call had an effect is not known; repeat it with the same command id, or allow it more time.',
      details: { address },
      cause: error,
    });
  if (code === 'Unsupported')
    return new BoxledgerError(code, `the server at ${address} does not know this call`, {
      help: 'Use a client and a server of the same version.',
      details: { address, transport: error.details },
      cause: error,
    });
  return new BoxledgerError(code, error.details || `the server at ${address} failed`, {
    details: { address },
    cause: error,
  });
};

interface RichDetails {
  readonly info?: ErrorInfo;
  readonly faults: readonly Fault[];
}

const richDetails = (metadata: Metadata | undefined): RichDetails => {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? [];
  if (!(bytes instanceof Uint8Array)) return { faults: [] };
  try {
    return decodedDetails(bytes);
  } catch {
    return { faults: [] }; // garbled on the way: the status itself is still good
  }
};

const decodedDetails = (bytes: Uint8Array): RichDetails => {
  const { details } = Status.decode(bytes);
  const find = (type: string) => details.find(({ typeUrl }) => typeUrl.endsWith(`/${type}`))?.value;
  const info = find(ErrorInfo.$type);
  const request = find(BadRequest.$type);
  const violations = request === undefined ? [] : BadRequest.decode(request).fieldViolations;
  const faults = violations.map(({ field, description }) => ({ field, problem: description }));
  return info === undefined ? { faults } : { info: ErrorInfo.decode(info), faults };
};

const detailsOf = (metadata: Readonly<Record<string, string>>): JsonObject =>
  Object.fromEntries(
    Object.entries(metadata)
      .filter(([key]) => key !== 'help')
      .map(([key, text]) => [key, jsonValue(text)]),
  );

const jsonValue = (text: string): JsonValue => {
  try {
    return JSON.parse(text) as JsonValue; // whatever JSON text holds is one
  } catch {
    return text; // another server's metadata: shown as it came
  }
};
