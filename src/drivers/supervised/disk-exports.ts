import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../kernel/errno.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { type ExportId, exportIdPattern, exportId as parseExportId } from '../../kernel/ids.ts';
import { limits } from '../../kernel/limits.ts';
import type { ArchiveManifestInput } from '../box-archive/manifest.ts';
import type { EntryKind } from '../box-archive/tar-head.ts';
import { type SourceEntry, writeArchive } from '../box-archive/write-archive.ts';
import { noExport } from '../disk-errors.ts';
import { exportFiguresSchema } from '../disk-records.ts';
import type { DiskWork, ExportFigures } from '../disks.ts';
import { ChecksumFile } from './checksum-file.ts';
import type { DiskContext } from './disk-context.ts';
import { type BoxLayout, exportIn } from './layout.ts';
import { readRecord, writeRecord } from './record-file.ts';
import { spaced } from './spaced-progress.ts';
import { clearStaging, commit, discard, namesIn, stage } from './staging.ts';
import { type Found, measureDisk, textOf, walkDisk } from './walk-disk.ts';

/** Box archives that a host has made, until they are fetched and removed. */
export class DiskExports {
  readonly #context: DiskContext;

  constructor(context: DiskContext) {
    this.#context = context;
  }

  async write(
    box: BoxLayout,
    disk: string,
    exportId: ExportId,
    manifest: ArchiveManifestInput,
    work: DiskWork,
  ): Promise<ExportFigures> {
    const { layout, passed, format } = this.#context;
    const target = layout.export(exportId);
    const there = await readRecord(target.figures, exportFiguresSchema);
    if (there !== undefined) return there;
    const staged = exportIn(await stage(box.exportsStaging));
    await mkdir(staged.directory, { mode: 0o700 });
    passed('export.begun');
    const { tree, image } = await format.portable(disk, `${staged.directory}.tree`, work.signal);
    const figures = await measureDisk(tree, work.signal);
    if (figures.entries > limits.boxArchiveEntriesMax)
      throw new BoxledgerError('Unsupported', `the disk has ${figures.entries} files and directories`, {
        help: `A box archive carries ${limits.boxArchiveEntriesMax}. Remove some in the box, and take another snapshot.`,
      });
    // Next to the archive, not in it: an export's directory holds what the export is.
    const checksums = await ChecksumFile.create(`${staged.directory}.checksums`);
    try {
      const entries = archived(tree, progressOf(work, figures.bytes));
      const archive = writeArchive({ manifest: { ...manifest, image }, disk: figures, entries, checksums });
      const written = await writeFlushed(staged.archive, archive, work.signal);
      await writeRecord(staged.figures, written);
      passed('export.staged');
      work.signal.throwIfAborted();
      await commit(staged.directory, target.directory);
      passed('export.kept');
      work.onProgress?.({ bytes: figures.bytes, totalBytes: figures.bytes });
      return written;
    } finally {
      await checksums.close();
    }
  }

  async list(): Promise<readonly ExportId[]> {
    const names = await namesIn(this.#context.layout.exports);
    return names.filter((name) => exportIdPattern.test(name)).map(parseExportId);
  }

  async open(exportId: ExportId): Promise<AsyncIterable<Uint8Array>> {
    try {
      const file = await open(this.#context.layout.export(exportId).archive, 'r');
      return file.createReadStream({ highWaterMark: chunkBytes });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      throw noExport(exportId);
    }
  }

  async remove(exportId: ExportId): Promise<void> {
    const { layout } = this.#context;
    const staging = join(layout.exportsStaging, exportId);
    await discard(staging, layout.export(exportId).directory);
    await clearStaging(staging);
  }
}

const chunkBytes = 256 * 1024;

const writeFlushed = async (
  path: string,
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<ExportFigures> => {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  let sizeBytes = 0;
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      hash.update(chunk);
      sizeBytes += chunk.length;
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sizeBytes, sha256: hash.digest('hex') };
};

/** To be called with bytes as they are read. */
const progressOf = ({ onProgress }: DiskWork, totalBytes: number) => {
  const tell = spaced(onProgress);
  let bytes = 0;
  return (more: number) => {
    bytes += more;
    tell({ bytes, totalBytes });
  };
};

/** The disk as entries of an archive. */
async function* archived(disk: string, read: (bytes: number) => void): AsyncGenerator<SourceEntry> {
  for await (const found of walkDisk(disk)) {
    const kind = kindOf(found);
    if (kind === undefined) continue;
    const path = inArchive(found.path);
    const base = {
      path,
      kind,
      mode: Number(found.stats.mode) & 0o7777,
      mtimeMs: Number(found.stats.mtimeMs),
      sizeBytes: 0,
      target: '',
    };
    if (kind === 'link') yield { ...base, target: inArchive(found.first ?? found.path) };
    else if (kind === 'symlink')
      yield { ...base, target: textOf(await readlink(found.fullPath, { encoding: 'buffer' })) };
    else if (kind === 'file')
      yield { ...base, sizeBytes: Number(found.stats.size), content: () => contentOf(found, read) };
    else yield base;
  }
}

const inArchive = (path: Buffer): string => (path.length === 0 ? 'disk' : `disk/${textOf(path)}`);

/** Undefined for what an archive cannot carry. Of the names of one symlink or FIFO each becomes one of its own. */
const kindOf = ({ stats, first }: Found): EntryKind | undefined => {
  if (stats.isDirectory()) return 'directory';
  if (stats.isFile()) return first === undefined ? 'file' : 'link';
  if (stats.isSymbolicLink()) return 'symlink';
  return stats.isFIFO() ? 'fifo' : undefined;
};

async function* contentOf({ fullPath }: Found, read: (bytes: number) => void): AsyncGenerator<Buffer> {
  const file = await open(fullPath, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, null);
      if (bytesRead === 0) return;
      read(bytesRead);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
