import type { AppendRequest, BoxRow } from '../commands/event-store.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { Provenance } from '../events/envelope.ts';
import { noVersion } from '../kernel/ids.ts';
import type { ChainedStream, PreparedAppend } from './append-request.ts';

/**
 * Requests as the packed tables that `boxledger.append_together` takes (migrations/0012-append-packed.sql): one text for
 * each table, in which control characters part fields and rows. Whatever is written is an id, a name, a number, a moment
 * or JSON, and holds no control character; free text might, and `isPackable` looks at it.
 */
const fieldEnd = '\u001f';
const rowEnd = '\u001e';
const none = '\u001a';

/** Whether no free text of the request holds a character that parts fields or rows. */
export const isPackable = ({ request: { provenance } }: PreparedAppend): boolean => {
  const { actor, reason, causationId, traceparent } = provenance;
  const text = `${actor.id}${reason}${causationId}${traceparent}`;
  return !(text.includes(fieldEnd) || text.includes(rowEnd) || text.includes(none));
};

/** In the order of the parameters of the statement `append-together`. */
const tableNames = [
  'commands',
  'movedHeads',
  'begunHeads',
  'settledEffects',
  'cancelledEffects',
  'newEvents',
  'newEffects',
  'changedBoxes',
  'newBoxes',
] as const;
type Tables = Record<(typeof tableNames)[number], string[]>;

/** The values of the statement `append-together`. */
export const packAppends = (batch: readonly PreparedAppend[]): readonly string[] => {
  const tables = Object.fromEntries(tableNames.map((name): [string, string[]] => [name, []])) as Tables; // every name
  for (const { request, streams } of batch) {
    packCommand(tables, request);
    for (const stream of streams) packStream(tables, request, stream);
  }
  // A row begins with the id of its stream, so heads are sorted in the order in which they are locked.
  tables.movedHeads.sort();
  tables.begunHeads.sort();
  return tableNames.map((name) => tables[name].join(rowEnd));
};

type Field = string | number | bigint | null;

const row = (...fields: readonly Field[]): string => {
  let text = '';
  for (const field of fields) text += `${field ?? none}${fieldEnd}`;
  return text.slice(0, -1);
};

const packCommand = (tables: Tables, { command, provenance, occurredAt, settles }: AppendRequest): void => {
  const { kind, streamId, version } = command.answer;
  tables.commands.push(
    row(provenance.tenant, command.id, command.digest, kind, streamId, version, occurredAt),
  );
  if (settles !== null) tables.settledEffects.push(row(settles.effectId, settles.attempt));
};

const packStream = (tables: Tables, request: AppendRequest, stream: ChainedStream): void => {
  const { provenance, occurredAt, settles } = request;
  const { append, events, version } = stream;
  const { streamId, expectedVersion, previousHash, fingerprint } = append;
  const isNew = expectedVersion === noVersion;
  const snapshot = JSON.stringify(append.snapshot);
  if (isNew)
    tables.begunHeads.push(row(streamId, provenance.tenant, version, stream.hash, fingerprint, snapshot));
  else
    tables.movedHeads.push(
      row(streamId, expectedVersion, previousHash, version, stream.hash, fingerprint, snapshot),
    );
  const tail = provenanceFields(provenance, occurredAt);
  for (const { event, data, hash } of events)
    tables.newEvents.push(row(streamId, event.version, event.type, event.schemaVersion, data, hash, tail));
  for (const effect of append.effects) tables.newEffects.push(packEffect(effect, request));
  for (const id of append.cancels) if (id !== settles?.effectId) tables.cancelledEffects.push(id);
  if (append.row !== null) {
    const state = boxState(append.row, version, occurredAt);
    if (isNew) tables.newBoxes.push(row(append.row.boxId, append.row.tenant, state));
    else tables.changedBoxes.push(row(append.row.boxId, state));
  }
};

/** What the events of one request share. */
const provenanceFields = (provenance: Provenance, occurredAt: string): string =>
  row(
    occurredAt,
    provenance.tenant,
    provenance.actor.kind,
    provenance.actor.id,
    provenance.reason,
    provenance.commandId,
    provenance.correlationId,
    provenance.causationId,
    provenance.traceparent,
  );

const packEffect = (effect: EffectIntent, { provenance, occurredAt }: AppendRequest): string =>
  row(
    effect.effectId,
    effect.kind,
    effect.tenant,
    effect.boxId,
    effect.generation,
    effect.placement.hostId,
    effect.placement.epoch,
    JSON.stringify(effect.args),
    effect.notBefore,
    effect.deadline,
    occurredAt,
    provenance.correlationId,
  );

const boxState = ({ name, state, labels, hostId, view }: BoxRow, version: bigint, at: string): string =>
  row(name, state, JSON.stringify(labels), hostId, version, at, JSON.stringify(view));
