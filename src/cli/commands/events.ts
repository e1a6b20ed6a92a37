import { resolve } from 'node:path';
import { Command } from 'commander';
import { BoxledgerError } from '../../kernel/errors.ts';
import { boxIdPattern, streamIdPattern } from '../../kernel/ids.ts';
import type { Event } from '../../sdk/client.ts';
import { openArchivedEvents } from '../archived-events.ts';
import { addConnectionFlags, repeatable, streamNames, withExamples } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { eventJson } from '../json-forms.ts';
import { eventLine } from '../render-event.ts';
import { type ConnectionFlags, inSession, type Session } from '../session.ts';

interface EventsFlags extends ConnectionFlags {
  readonly follow?: boolean;
  readonly type?: readonly string[];
  readonly since?: string;
  readonly stream?: string;
  readonly archive?: readonly string[];
}

export const eventsCommand = (io: CliIo): Command => {
  const command = new Command('events')
    .description('the log: what happened, to what, when, by whom and why')
    .argument('[box]', 'only this box: its name, id or prefix, or the whole id of a removed one')
    .option('-f, --follow', 'go on with what happens from now on, until Ctrl-C')
    .option('--type <type>', 'only events of this type, such as box.started', repeatable)
    .option(
      '--since <cursor>',
      'only what came after this cursor; --json prints one with each event of all boxes',
    )
    .option('--stream <id>', `only this stream: ${streamNames}`)
    .option(
      '--archive <dir>',
      'read what has left the database from the files in this directory, and go on from there; repeatable',
      repeatable,
    );
  addConnectionFlags(command).action((box: string | undefined, flags: EventsFlags) => events(io, box, flags));
  return withExamples(
    command,
    'boxledger events web --follow',
    'boxledger events --type box.exited --json',
    'boxledger events --archive /mnt/archives',
  );
};

const events = (io: CliIo, box: string | undefined, flags: EventsFlags) =>
  inSession(io, flags, {
    name: 'events',
    read: (faults) => {
      if (flags.stream === undefined) return;
      if (!streamIdPattern.test(flags.stream))
        faults.add('--stream', `must be ${streamNames} with a whole id`);
      if (box !== undefined) faults.add('--stream', 'cannot be had with a box');
    },
    work: async (session) => {
      const stream = box === undefined ? flags.stream : `box/${await idOf(session, box)}`;
      const { output, json } = session;
      for await (const event of read(session, stream, flags))
        await (json ? output.json(eventJson(event)) : output.line(eventLine(event)));
      return 0;
    },
  });

/** A removed box cannot be looked up, but its history stays readable. */
const idOf = async ({ client, signal }: Session, box: string): Promise<string> =>
  boxIdPattern.test(box) ? box : (await client.get(box, { signal })).boxId;

/** A whole stream and a box that is followed are asked for by themselves; all else is the log, filtered here. */
async function* read(
  session: Session,
  stream: string | undefined,
  flags: EventsFlags,
): AsyncGenerator<Event, void, undefined> {
  const { client, signal } = session;
  const { follow = false, type: types = [], since: cursor } = flags;
  const wanted = (event: Event) =>
    (types.length === 0 || types.includes(event.type)) && (stream === undefined || event.streamId === stream);
  if (follow && stream?.startsWith('box/')) {
    const box = stream.slice('box/'.length);
    for await (const message of client.watch({ box, cursor, types, signal }))
      if (message.$case === 'event' && wanted(message.value)) yield message.value;
    return;
  }
  const found =
    stream === undefined || follow || cursor !== undefined
      ? readLog(session, stream, flags)
      : readStream(session, stream, flags);
  for await (const event of found) if (wanted(event)) yield event;
}

const archivedIn = ({ io }: Session, { archive = [], since }: EventsFlags) =>
  openArchivedEvents(
    archive.map((directory) => resolve(io.workingDir, directory)),
    since,
  );

/** Archives that are given, and then the server's part; what it has no longer and was not given it refuses. */
async function* readLog(
  session: Session,
  stream: string | undefined,
  flags: EventsFlags,
): AsyncGenerator<Event, void, undefined> {
  const { client, signal } = session;
  const { follow = false, type: types = [], archive } = flags;
  const categories = stream === undefined ? [] : [stream.slice(0, stream.indexOf('/'))];
  let cursor = flags.since;
  if (archive !== undefined) {
    const archived = await archivedIn(session, flags);
    for await (const event of archived.events()) {
      signal.throwIfAborted();
      yield event;
    }
    ({ cursor } = archived);
  }
  yield* client.readAll({ cursor, types, categories, follow, signal });
}

/** A stream is on the server as a whole, or in the archives. */
async function* readStream(
  session: Session,
  stream: string,
  flags: EventsFlags,
): AsyncGenerator<Event, void, undefined> {
  const { client, signal } = session;
  const { type: types = [], archive } = flags;
  try {
    yield* client.readStream(stream, { types, signal });
  } catch (error) {
    const hasLeft = error instanceof BoxledgerError && error.details['archive'] !== undefined;
    if (!hasLeft || archive === undefined) throw error;
    for await (const event of (await archivedIn(session, flags)).events()) {
      signal.throwIfAborted();
      yield { ...event, cursor: '' };
    }
  }
}
