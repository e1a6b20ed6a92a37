import type { KeyObject } from 'node:crypto';
import type { ArchiveRecord } from './archive-record.ts';
import type { AuditSource } from './audit-source.ts';
import { readCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import type { ExportFile } from './export-file.ts';
import { type Finding, Findings, nameOf } from './findings.ts';
import type { AuditedEvent, Evidence, LogPart, VerifiableLog } from './log-parts.ts';
import { comparePlaces, type Place, placeText } from './place.ts';
import { placeCheckpoints } from './place-checkpoints.ts';

/** Before every event, also before those whose position somebody has changed. */
const veryBeginning: Place = { transactionId: '0', position: String(-(2n ** 63n)) };

/**
 * A log of which a part has left the database: what was given of that part is read from its files, and all else from the
 * database, in one order. Checkpoints are always the database's. Streams that go on are in both, from their first event on:
 * what the database has of them must be what the archive has. Of an archive that was not given the database's part is read.
 */
export class LogWithArchives implements VerifiableLog {
  readonly fromSequence = 1;
  readonly toSequence = null;
  readonly evidence: Evidence | undefined;
  readonly #source: AuditSource;
  readonly #archives: readonly ArchiveRecord[];
  readonly #given: ReadonlyMap<number, ExportFile>;
  readonly #findings = new Findings();
  #archivesRead = 0;

  /** `given`: by number of the archive. */
  constructor(
    source: AuditSource,
    archives: readonly ArchiveRecord[],
    given: ReadonlyMap<number, ExportFile>,
  ) {
    this.#source = source;
    this.#archives = archives;
    this.#given = given;
    this.evidence = source.evidence && {
      ...source.evidence,
      between: (after, to) => this.#between(after, to),
    };
  }

  share(): number {
    const parts = this.#given.size + 1;
    return (this.#archivesRead + (this.#archivesRead < this.#given.size ? 0 : this.#source.share())) / parts;
  }

  keys(): Promise<readonly KeyObject[]> {
    return this.#source.keys();
  }

  findings(): readonly Finding[] {
    return this.#findings.list;
  }

  async *parts(): AsyncGenerator<LogPart> {
    for await (const part of placeCheckpoints(this.#pages(), this.#source.checkpoints()))
      yield part.kind === 'checkpoint' ? { ...part, archive: this.#absent(part.signed) } : part;
  }

  /** The file that holds what the checkpoint signs, if it was not given. */
  #absent({ body }: SignedCheckpoint): string | undefined {
    const checkpoint = readCheckpoint(body);
    if (typeof checkpoint === 'string') return undefined;
    const archive = this.#archives.find(({ toSequence }) => toSequence >= checkpoint.sequence);
    return archive === undefined || this.#given.has(archive.number) ? undefined : archive.file;
  }

  async *#pages(): AsyncGenerator<readonly AuditedEvent[]> {
    this.#archivesRead = 0;
    if (this.#given.size === 0) return yield* this.#source.events();
    let after = veryBeginning;
    for (const archive of this.#archives) {
      const file = this.#given.get(archive.number);
      if (file === undefined) yield* this.#source.between(after, archive.to);
      else {
        yield* this.#compared(file, after, archive);
        this.#archivesRead += 1;
      }
      after = archive.to;
    }
    yield* this.#source.events(after);
  }

  /** The events of an archive, each page after it was compared with what the database still has of it. */
  async *#compared(
    file: ExportFile,
    begin: Place,
    { to, file: name }: ArchiveRecord,
  ): AsyncGenerator<readonly AuditedEvent[]> {
    let after = begin;
    for await (const part of file.parts()) {
      if (part.kind !== 'events') continue;
      const last = part.events.at(-1) ?? after;
      await this.#compare(part.events, after, last, name);
      yield part.events;
      after = last;
    }
    if (file.cut !== undefined)
      this.#findings.add({
        kind: 'truncated',
        event: null,
        checkpoint: null,
        detail: `${name}: ${file.cut}`,
      });
    await this.#compare([], after, to, name);
  }

  async #compare(events: readonly AuditedEvent[], after: Place, to: Place, name: string): Promise<void> {
    const kept = new Map<string, AuditedEvent>();
    for await (const page of this.#source.between(after, to))
      for (const event of page) kept.set(placeText(event), event);
    const gone = await this.#source.archivedStreams([...new Set(events.map(({ streamId }) => streamId))]);
    for (const event of events) {
      const here = kept.get(placeText(event));
      kept.delete(placeText(event));
      if (here === undefined && !gone.has(event.streamId))
        this.#find('missing', event, `${name} has it, and the database, where its stream goes on, has not`);
      else if (here !== undefined && !isSame(here, event))
        this.#find('edited', here, `${name} has it otherwise`);
    }
    for (const event of kept.values()) this.#find('inserted', event, `${name} has no event at its place`);
  }

  #find(kind: Finding['kind'], event: AuditedEvent, detail: string) {
    this.#findings.add({ kind, event: nameOf(event), checkpoint: null, detail });
  }

  /** Only asked for when a checkpoint does not fit, and so it may read all that comes before. */
  async *#between(after: Place, to: Place): AsyncGenerator<readonly AuditedEvent[]> {
    for await (const page of this.#pages()) {
      const events = page.filter((event) => comparePlaces(event, after) > 0 && comparePlaces(event, to) <= 0);
      if (events.length > 0) yield events;
    }
  }
}

const isSame = (a: AuditedEvent, b: AuditedEvent): boolean =>
  a.streamId === b.streamId && a.version === b.version && a.hash === b.hash && a.envelope === b.envelope;
