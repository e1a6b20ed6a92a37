import { hash } from 'node:crypto';
import type { JsonValue } from '../kernel/json.ts';
import { canonicalJson } from './canonical-json.ts';
import type { StoredEvent } from './stored-event.ts';

/**
 * The hash of an event as docs/log-format.md has it, from the text of its row. Written apart from `store/event-hash.ts`, which
 * the log is written with: a proof by the writer’s own code would prove the writer’s mistakes. A test holds the two together.
 */

/** What stands for the previous hash before the first event of a stream. */
export const noHash = '0'.repeat(64);

/**
 * The part of an event that its hash covers, as RFC 8785 JSON; undefined when the data is not JSON, or holds a number that
 * is written as no writer of the log writes it: it would read the same here, and differently elsewhere.
 */
export const envelopeOf = (event: StoredEvent): string | undefined => {
  const data = canonicalDataOf(event.data);
  if (data === undefined) return undefined;
  return (
    `{"actor":{"id":${actorId(event.actorId)},"kind":${actorKind(event.actorKind)}},` +
    `"causationId":${JSON.stringify(event.causationId)},"commandId":${commandId(event.commandId)},` +
    `"correlationId":${correlationId(event.correlationId)},"data":${data},"occurredAt":${moment(event.occurredAt)},` +
    `"reason":${JSON.stringify(event.reason)},"schemaVersion":${event.schemaVersion},` +
    `"streamId":${streamId(event.streamId)},"tenant":${tenant(event.tenant)},` +
    `"traceparent":${JSON.stringify(event.traceparent)},"type":${type(event.type)},"version":${event.version}}`
  );
};

/** A string as JSON; the last one is remembered, because neighbours in the log are often of one command. */
const repeated = () => {
  let [last, json] = ['', '""'];
  return (value: string): string => {
    if (value === last) return json;
    last = value;
    json = JSON.stringify(value);
    return json;
  };
};
const actorId = repeated();
const actorKind = repeated();
const commandId = repeated();
const correlationId = repeated();
const moment = repeated();
const streamId = repeated();
const tenant = repeated();
const type = repeated();

const canonicalDataOf = (data: string): string | undefined => {
  if (data === '{}') return data;
  try {
    const value: JsonValue = JSON.parse(data);
    return maybeOddNumber.test(data) && hasOddNumber(data) ? undefined : canonicalJson(value);
  } catch {
    return undefined; // said by whoever asked
  }
};

/** Whole numbers of fewer than 16 digits have one form in the database. */
const maybeOddNumber = /\d\.\d|\d{16}/;

/** Whether a number stands there otherwise than the database writes the double that it is read as. */
const hasOddNumber = (data: string): boolean =>
  (data.replace(/"(?:[^"\\]|\\.)*"/g, '""').match(/-?\d[\d.]*/g) ?? []).some(
    (number) => number !== plainDecimal(Number(number)),
  );

/** The shortest digits that give the number, without an exponent. */
const plainDecimal = (number: number): string => {
  const [mantissa = '', exponent] = String(number).split('e');
  if (exponent === undefined) return mantissa;
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const [digits, shift] = [whole + fraction, Number(exponent)];
  const sign = number < 0 ? '-' : '';
  return shift < 0
    ? `${sign}0.${'0'.repeat(-shift - 1)}${digits}`
    : `${sign}${digits.padEnd(shift + 1, '0')}`;
};

let scratch = Buffer.alloc(64 * 1024);
/** The beginning of `scratch` by its length, for the lengths that most events have: to make one costs as much as to hash it. */
let beginnings: Buffer[] = [];
const beginningMax = 4096;

const beginningOf = (length: number): Buffer => {
  if (length > beginningMax) return scratch.subarray(0, length);
  beginnings[length] ??= scratch.subarray(0, length);
  return beginnings[length];
};

/** SHA-256 over the 32 bytes of `previous` and the envelope's UTF-8. Hexadecimal. */
export const digestOf = (previous: string, envelope: string): string => {
  const bytesMax = 32 + envelope.length * 3;
  if (scratch.length < bytesMax) {
    scratch = Buffer.alloc(bytesMax * 2);
    beginnings = [];
  }
  scratch.fill(0, 0, 32); // a hash that is too short leaves no bytes of another one
  scratch.write(previous, 0, 32, 'hex');
  const bytes = scratch.write(envelope, 32, 'utf8');
  return hash('sha256', beginningOf(32 + bytes), 'hex');
};
