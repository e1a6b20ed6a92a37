import type { Brand } from './brand.ts';
import { limits } from './limits.ts';

export type BoxId = Brand<string, 'BoxId'>;
export type ExecId = Brand<string, 'ExecId'>;
export type CopyId = Brand<string, 'CopyId'>;
export type HostId = Brand<string, 'HostId'>;
/** A box's disk as it was at one moment. */
export type SnapshotId = Brand<string, 'SnapshotId'>;
/** One box archive that a host made. */
export type ExportId = Brand<string, 'ExportId'>;
export type EffectId = Brand<string, 'EffectId'>;
export type CommandId = Brand<string, 'CommandId'>;
export type CorrelationId = Brand<string, 'CorrelationId'>;
export type TenantId = Brand<string, 'TenantId'>;
export type StreamId = Brand<string, 'StreamId'>;

/** Place of an event in its stream: 1, 2, … A stream that does not exist is at version 0. */
export type Version = Brand<bigint, 'Version'>;
/** Number that the database gave an event; grows, but with gaps, and not in commit order. */
export type Position = Brand<bigint, 'Position'>;

/** Random part of an id: 16 characters of Crockford's base 32, 80 bits. */
export const idAlphabet = '0123456789abcdefghjkmnpqrstvwxyz';
export const idLength = 16;
const random = `[${idAlphabet}]{${idLength}}`;

export const boxIdPattern = new RegExp(`^bx_${random}$`);
const execIdPattern = new RegExp(`^ex_${random}$`);
const copyIdPattern = new RegExp(`^cp_${random}$`);
const hostIdPattern = new RegExp(`^hs_${random}$`);
export const snapshotIdPattern = new RegExp(`^sn_${random}$`);
export const exportIdPattern = new RegExp(`^xp_${random}$`);
/** Printable ASCII without white space: it travels in headers and job payloads. */
export const commandIdPattern = new RegExp(`^[\\x21-\\x7e]{1,${limits.commandIdMaxBytes}}$`);
/** Of boxes and tenants: as Docker's container names, but shorter. */
export const namePattern = new RegExp(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,${limits.boxNameMaxBytes - 1}}$`);
export const streamIdPattern = new RegExp(
  `^(box/bx_${random}|exec/ex_${random}|copy/cp_${random}|host/hs_${random})$`,
);
const effectIdPattern = new RegExp(`^bx_${random}-[1-9][0-9]*-[a-z]+\\.[a-z]+$`);

const parser =
  <Id extends string>(what: string, pattern: RegExp) =>
  (text: string): Id => {
    if (!pattern.test(text)) throw new RangeError(`${JSON.stringify(text)} is not a ${what}`);
    return text as Id; // the one cast: the pattern has just been checked
  };

export const boxId = parser<BoxId>('box id', boxIdPattern);
export const execId = parser<ExecId>('exec id', execIdPattern);
export const copyId = parser<CopyId>('copy id', copyIdPattern);
export const hostId = parser<HostId>('host id', hostIdPattern);
export const snapshotId = parser<SnapshotId>('snapshot id', snapshotIdPattern);
export const exportId = parser<ExportId>('export id', exportIdPattern);
export const effectId = parser<EffectId>('effect id', effectIdPattern);
export const commandId = parser<CommandId>('command id', commandIdPattern);
export const correlationId = parser<CorrelationId>('correlation id', commandIdPattern);
export const tenantId = parser<TenantId>('tenant', namePattern);
export const streamId = parser<StreamId>('stream id', streamIdPattern);

export const defaultTenant = tenantId('default');

export const boxStream = (id: BoxId): StreamId => streamId(`box/${id}`);
export const execStream = (id: ExecId): StreamId => streamId(`exec/${id}`);
export const copyStream = (id: CopyId): StreamId => streamId(`copy/${id}`);
export const hostStream = (id: HostId): StreamId => streamId(`host/${id}`);

export const execOfStream = (stream: StreamId): ExecId => execId(stream.slice('exec/'.length));
export const boxOfStream = (stream: StreamId): BoxId => boxId(stream.slice('box/'.length));

const natural = (what: string, value: bigint | number | string): bigint => {
  const number = BigInt(value);
  if (number < 0n) throw new RangeError(`${what} ${number} is negative`);
  return number;
};

export const version = (value: bigint | number | string): Version => natural('version', value) as Version;
export const position = (value: bigint | number | string): Position => natural('position', value) as Position;
export const noVersion = version(0);

/**
 * The id of the effect that the event at `at` in a box's stream asked for. It follows from the log, so an effect that
 * is asked for again after a crash is the same effect. No colon: it is also the queue's job id.
 */
export const effectIdFor = (box: BoxId, at: Version, kind: string): EffectId =>
  effectId(`${box}-${at}-${kind}`);
