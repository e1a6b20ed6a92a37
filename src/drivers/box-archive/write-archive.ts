import { createHash } from 'node:crypto';
import { BoxledgerError } from '../../kernel/errors.ts';
import { type ChecksumList, checksumLine, checksumsPath } from './checksums.ts';
import { compressed } from './frames.ts';
import {
  type ArchiveManifest,
  type ArchiveManifestInput,
  type DiskFigures,
  manifestOf,
  manifestPath,
} from './manifest.ts';
import { type EntryHead, encodeHead, padding, tarBlockBytes } from './tar-head.ts';

export interface SourceEntry extends EntryHead {
  /** For files alone: exactly `sizeBytes` bytes. */
  readonly content?: () => AsyncIterable<Uint8Array>;
}

export interface ArchiveSource {
  readonly manifest: ArchiveManifestInput & Pick<ArchiveManifest, 'image'>;
  readonly disk: DiskFigures;
  /** `disk` and all below it, in the order that `DepthFirst` accepts. */
  readonly entries: AsyncIterable<SourceEntry>;
  readonly checksums: ChecksumList;
}

/** A box archive, piece by piece, in one pass over the disk. docs/box-archive.md says it byte for byte. */
export const writeArchive = (source: ArchiveSource): AsyncGenerator<Buffer> => compressed(tarOf(source));

async function* tarOf({ manifest, disk, entries, checksums }: ArchiveSource): AsyncGenerator<Buffer> {
  const bytes = manifestOf(manifest, disk);
  const mtimeMs = Math.floor(Date.parse(manifest.createdAt) / 1000) * 1000;
  const own = { kind: 'file', mode: 0o644, mtimeMs, target: '' } as const;
  yield* file(
    { ...own, path: manifestPath, sizeBytes: bytes.length, content: () => pieces(bytes) },
    checksums,
  );
  for await (const entry of entries) {
    if (entry.kind === 'file') yield* file(entry, checksums);
    else yield encodeHead(entry);
  }
  const { sizeBytes } = checksums;
  yield encodeHead({ ...own, path: checksumsPath, sizeBytes });
  yield* checksums.lines();
  yield padding(sizeBytes);
  yield Buffer.alloc(2 * tarBlockBytes);
}

async function* file(entry: SourceEntry, checksums: ChecksumList): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let left = entry.sizeBytes;
  yield encodeHead(entry);
  for await (const chunk of entry.content?.() ?? []) {
    hash.update(chunk);
    left -= chunk.length;
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (left !== 0)
    throw new BoxledgerError('Internal', `${entry.path} changed while it was read`, {
      help: 'A snapshot never changes: look for what else writes below the data directory.',
    });
  yield padding(entry.sizeBytes);
  await checksums.add(checksumLine(entry.path, hash.digest()));
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
