import { encodeBox } from '../api/encode.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { actorSchema } from '../events/schemas.ts';
import { parseEvent } from '../events/upcast.ts';
import { Box } from '../gen/boxledger/v1/box.ts';
import type { Event } from '../gen/boxledger/v1/event.ts';
import * as ids from '../kernel/ids.ts';
import { timestamp } from '../kernel/time.ts';
import type { Client } from '../sdk/client.ts';
import { eventHash } from '../store/event-hash.ts';
import { foldStream } from './folds.ts';

/**
 * Reads a box's history back, checks the hash that binds each event to the one before it, folds it afresh, and compares
 * the fold with what the server says of the box. Prints what it finds; true when both agree.
 */
export const verifyHistory = async (
  client: Client,
  boxId: string,
  say: (line: string) => void,
): Promise<boolean> => {
  say('\n▸ the history, read back from the log');
  const events: RecordedEvent[] = [];
  for await (const wire of client.readStream(`box/${boxId}`)) {
    const event = recorded(wire);
    const chained = eventHash(events.at(-1)?.hash ?? '', event) === event.hash;
    events.push(event);
    say(
      `    ${String(event.version).padStart(2)} ${event.occurredAt} ${event.type.padEnd(21)} by ${event.actor.id.padEnd(24)} ${event.hash.slice(0, 12)}${chained ? '' : ' BROKEN'}`,
    );
    if (!chained) return false;
  }
  const [first, ...rest] = events;
  if (first === undefined) return false;
  const { row } = foldStream(first.streamId, [first, ...rest]);
  const folded = row && Box.toJSON(encodeBox(row.view, events.at(-1)?.version ?? first.version));
  const head = Box.toJSON(await client.get(boxId));
  const agrees = JSON.stringify(folded) === JSON.stringify(head);
  say(
    `\n${events.length} events, every hash in its chain. Folded afresh: ${row?.state}, version ${events.length}.`,
  );
  say(
    agrees
      ? 'The fold equals the head: state is history.'
      : `fold ${JSON.stringify(folded)}\nhead ${JSON.stringify(head)}`,
  );
  return agrees;
};

const recorded = (wire: Event): RecordedEvent => ({
  ...parseEvent(wire.type, wire.schemaVersion, JSON.parse(wire.dataJson)),
  streamId: ids.streamId(wire.streamId),
  version: ids.version(wire.version),
  position: ids.position(wire.position),
  schemaVersion: wire.schemaVersion,
  occurredAt: timestamp((wire.occurredAt ?? new Date(Number.NaN)).toISOString()),
  hash: wire.hash,
  tenant: ids.tenantId(wire.tenant),
  actor: actorSchema.parse({ kind: wire.actor?.kind, id: wire.actor?.id }),
  reason: wire.reason ?? null,
  commandId: ids.commandId(wire.commandId),
  correlationId: ids.correlationId(wire.correlationId),
  causationId: wire.causationId ?? null,
  traceparent: wire.traceparent ?? null,
});
