import { appendFileSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Exit, exitSchema } from '../events/process.ts';
import { boxIdSchema, exportIdSchema } from '../events/schemas.ts';
import { errnoOf } from '../kernel/errno.ts';
import type { BoxId, ExportId } from '../kernel/ids.ts';
import { originRecordSchema } from './disk-records.ts';

/** Files by path, their bytes as Latin-1. */
const simDiskSchema = z.record(z.string(), z.string());
export type SimDisk = z.infer<typeof simDiskSchema>;

/** What is so of one simulated box. */
const simBoxSchema = z.strictObject({
  disk: simDiskSchema.nullable(),
  /** Of what the disk was made; null: it began empty. */
  origin: originRecordSchema.nullable(),
  snapshots: z.record(z.string(), simDiskSchema),
  /** Number of its last process; 0: never booted. */
  pid: z.int().nonnegative(),
  generation: z.int().nonnegative(),
  state: z.enum(['absent', 'running', 'frozen', 'ended']),
  exit: exitSchema,
});
export type SimBox = z.infer<typeof simBoxSchema>;

const journalLineSchema = z.union([
  z.strictObject({ boxId: boxIdSchema, box: simBoxSchema.nullable() }),
  z.strictObject({ exportId: exportIdSchema, archive: z.base64().nullable() }),
]);
type JournalLine = z.infer<typeof journalLineSchema>;

const unbooted: SimBox = {
  disk: null,
  origin: null,
  snapshots: {},
  pid: 0,
  generation: 0,
  state: 'absent',
  exit: { kind: 'unknown' },
};

/**
 * A host on which nothing is real. Drivers that share a world see the same boxes, as instances on one data directory do.
 * With a journal, a file of one JSON object a line, a later process finds the boxes as they were.
 */
export class SimWorld {
  readonly #boxes = new Map<BoxId, SimBox>();
  readonly #exports = new Map<ExportId, Buffer>();
  readonly #watchers = new Map<BoxId, Set<() => void>>();
  readonly #journal: string | undefined;
  #lastPid = 1;

  constructor(journal?: string) {
    this.#journal = journal;
    for (const line of journal === undefined ? [] : readLines(journal)) {
      const said = journalLineSchema.parse(JSON.parse(line));
      if ('boxId' in said) this.#put(said.boxId, said.box);
      else if (said.archive === null) this.#exports.delete(said.exportId);
      else this.#exports.set(said.exportId, Buffer.from(said.archive, 'base64'));
    }
  }

  get(boxId: BoxId): SimBox {
    return this.#boxes.get(boxId) ?? unbooted;
  }

  set(boxId: BoxId, change: Partial<SimBox>): void {
    this.#record(boxId, { ...this.get(boxId), ...change });
  }

  remove(boxId: BoxId): void {
    if (this.#boxes.has(boxId)) this.#record(boxId, null);
  }

  get exports(): ReadonlyMap<ExportId, Buffer> {
    return this.#exports;
  }

  setExport(exportId: ExportId, archive: Buffer | null): void {
    this.#write({ exportId, archive: archive?.toString('base64') ?? null });
    if (archive === null) this.#exports.delete(exportId);
    else this.#exports.set(exportId, archive);
  }

  newPid(): number {
    this.#lastPid += 1;
    return this.#lastPid;
  }

  ids(): readonly BoxId[] {
    return [...this.#boxes.keys()];
  }

  /** Calls `changed` after every change of the box, until the function that it returns is called. */
  watch(boxId: BoxId, changed: () => void): () => void {
    const watchers = this.#watchers.get(boxId) ?? new Set();
    this.#watchers.set(boxId, watchers.add(changed));
    return () => {
      watchers.delete(changed);
      if (watchers.size === 0 && this.#watchers.get(boxId) === watchers) this.#watchers.delete(boxId);
    };
  }

  #record(boxId: BoxId, box: SimBox | null): void {
    this.#write({ boxId, box });
    this.#put(boxId, box);
    for (const changed of [...(this.#watchers.get(boxId) ?? [])]) changed();
  }

  #write(line: JournalLine): void {
    if (this.#journal !== undefined) appendFileSync(this.#journal, `${JSON.stringify(line)}\n`);
  }

  #put(boxId: BoxId, box: SimBox | null): void {
    if (box === null) this.#boxes.delete(boxId);
    else {
      this.#boxes.set(boxId, box);
      this.#lastPid = Math.max(this.#lastPid, box.pid);
    }
  }
}

export const hasEnded = (box: SimBox): boolean => box.state === 'ended' || box.state === 'absent';
export const killed: Exit = { kind: 'signal', signal: 'SIGKILL' };

/** The last line may have been cut off by a kill -9; what it said had not been told to anybody. */
const readLines = (path: string): readonly string[] => {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
};
