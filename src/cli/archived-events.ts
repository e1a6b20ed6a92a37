import { z } from 'zod';
import { archivesIn } from '../audit/archive-dir.ts';
import type { AuditedEvent } from '../audit/log-parts.ts';
import { comparePlaces, type Place, placeText } from '../audit/place.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { Event } from '../sdk/client.ts';

const recordedSchema = z.object({
  streamId: z.string(),
  version: z.int(),
  type: z.string(),
  schemaVersion: z.int(),
  data: z.json(),
  tenant: z.string(),
  actor: z.object({ kind: z.string(), id: z.string() }),
  reason: z.string().nullable(),
  commandId: z.string(),
  correlationId: z.string(),
  causationId: z.string().nullable(),
  traceparent: z.string().nullable(),
  occurredAt: z.string(),
});

/** What has left the database, as `events` shows it: read from the files, which only `audit verify` verifies. */
export interface ArchivedEvents {
  events(): AsyncGenerator<Event, void, undefined>;
  /** After the last event of the last file: where the server's part begins. Known once all have been read. */
  readonly cursor: string;
}

/** The archives of the directories, after the cursor. They must be all from the log's beginning on. */
export const openArchivedEvents = async (
  directories: readonly string[],
  since: string | undefined,
): Promise<ArchivedEvents> => {
  const files = [...(await archivesIn(directories))];
  const after = since === undefined ? undefined : placeOf(since);
  let expected = 1;
  for (const [name, file] of files) {
    if (file.fromSequence !== expected || file.toSequence === null)
      throw new BoxledgerError(
        'InvalidArgument',
        `there is no archive from checkpoint ${expected} on before ${name}`,
        {
          help: 'Give every directory that has archives of this log by --archive.',
        },
      );
    expected = file.toSequence + 1;
  }
  let last: Place | undefined;
  return {
    get cursor() {
      return last === undefined || (after !== undefined && comparePlaces(last, after) < 0)
        ? (since ?? '')
        : placeText(last);
    },
    async *events() {
      for (const [, file] of files)
        for await (const part of file.parts()) {
          if (part.kind !== 'events') continue;
          last = part.events.at(-1) ?? last;
          for (const event of part.events)
            if (after === undefined || comparePlaces(event, after) > 0) yield shown(event);
        }
    },
  };
};

const placeOf = (cursor: string): Place => {
  const [, transactionId, position] = /^(\d{1,19})\.(\d{1,18})$/.exec(cursor) ?? [];
  if (transactionId === undefined || position === undefined)
    throw new BoxledgerError('InvalidArgument', '--since: is not a cursor of this log', {
      help: 'Give one that `boxledger events --json` has printed.',
    });
  return { transactionId, position };
};

const shown = ({ envelope, hash, position, ...place }: AuditedEvent): Event => {
  const { data, ...recorded } = recordedSchema.parse(JSON.parse(envelope ?? '{}'));
  return {
    ...recorded,
    version: BigInt(recorded.version),
    position: BigInt(position),
    dataJson: JSON.stringify(data),
    reason: recorded.reason ?? undefined,
    causationId: recorded.causationId ?? undefined,
    traceparent: recorded.traceparent ?? undefined,
    occurredAt: new Date(recorded.occurredAt),
    hash,
    cursor: placeText({ ...place, position }),
  };
};
