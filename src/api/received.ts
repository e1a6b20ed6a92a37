import type { MethodDefinition } from '@grpc/grpc-js';
import type { z } from 'zod';
import { BoxledgerError, type Fault, invalidArgument } from '../kernel/errors.ts';
import { type Path, pathText } from './field-path.ts';
import { issueText } from './issue-text.ts';
import { shortened } from './status.ts';

/**
 * The wire's door. A request is decoded, looked over for what the contract does not know and for text that is not UTF-8,
 * then parsed by a schema; all that is wrong with it is said at once.
 */

/** What came in: bytes that are no message of this type are the caller's fault, and not the service's. */
export type Received<Message> =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'malformed'; readonly problem: string };

/** The same method, with a decoder that never throws. */
export const tolerant = <Request, Response>(
  method: MethodDefinition<Request, Response>,
): MethodDefinition<Received<Request>, Response> => ({
  ...method,
  requestSerialize: () => {
    throw new TypeError('a server sends no requests');
  },
  requestDeserialize: (bytes) => {
    try {
      return { kind: 'message', message: method.requestDeserialize(bytes) };
    } catch (error) {
      return { kind: 'malformed', problem: error instanceof Error ? error.message : String(error) };
    }
  },
});

/** Throws `InvalidArgument` with every fault. Field paths are as in the proto: `options.memory_mib`, `options.env.A=B`. */
export const parse = <Parsed>(schema: z.ZodType<Parsed>, received: Received<unknown>): Parsed => {
  if (received.kind === 'malformed')
    throw BoxledgerError.fromRefusal(
      invalidArgument([
        { field: 'request', problem: `is not a valid protobuf message: ${received.problem}` },
      ]),
    );
  const faults: Fault[] = [];
  const result = schema.safeParse(plain(received.message, [], faults), { error: issueText });
  if (result.success && faults.length === 0) return result.data;
  for (const issue of result.error?.issues ?? [])
    for (const problem of problemsOf(issue)) faults.push(fault(issue.path, problem));
  throw BoxledgerError.fromRefusal(invalidArgument(onePerProblem(faults)));
};

/** A generated message as plain data: no unset fields, oneofs as the one field that is set. Unknown fields are faults. */
const plain = (value: unknown, path: Path, faults: Fault[]): unknown => {
  if (typeof value === 'string') return checkedText(value, path, faults);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date)
    return value;
  if (Array.isArray(value)) return value.map((item, index) => plain(item, [...path, index], faults));
  const fields: [string, unknown][] = [];
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    if (key === '_unknownFields') noteUnknown(field, path, faults);
    else if (isOneof(field)) fields.push([field.$case, plain(field.value, [...path, field.$case], faults)]);
    else fields.push([checkedKey(key, [...path, key], faults), plain(field, [...path, key], faults)]);
  }
  return Object.fromEntries(fields);
};

const isOneof = (field: unknown): field is { readonly $case: string; readonly value: unknown } =>
  typeof field === 'object' && field !== null && '$case' in field;

/** The decoder leaves U+FFFD where bytes were not UTF-8, so that it can be said where. */
const checkedText = (text: string, path: Path, faults: Fault[]): string => {
  if (text.includes('\uFFFD') || text.includes('\0'))
    faults.push(fault(path, 'must be valid UTF-8 without NUL'));
  return text;
};

/** A map's key that objects do not take for one would be lost on the way. */
const checkedKey = (key: string, path: Path, faults: Fault[]): string => {
  if (key === '__proto__') faults.push(fault(path, 'is a key that cannot be kept'));
  return checkedText(key, path, faults);
};

/** Keys are protobuf tags: the field's number and three bits of wire type. */
const noteUnknown = (unknown: object, path: Path, faults: Fault[]): void => {
  for (const tag of Object.keys(unknown))
    faults.push(fault(path, `field number ${Number(tag) >>> 3} is not known here, or has another type`));
};

const problemsOf = (issue: z.core.$ZodIssue): readonly string[] =>
  issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message) : [issue.message];

const problemMaxBytes = 256;

const fault = (path: Path, problem: string): Fault => ({
  field: pathText(path),
  problem: shortened(problem, problemMaxBytes),
});

const onePerProblem = (faults: readonly Fault[]): readonly Fault[] => [
  ...new Map(faults.map((each) => [`${each.field}\n${each.problem}`, each])).values(),
];
