import { createHash } from 'node:crypto';
import { checksumLine } from '../../../src/drivers/box-archive/checksums.ts';
import { compressed } from '../../../src/drivers/box-archive/frames.ts';
import type { ArchiveManifestInput } from '../../../src/drivers/box-archive/manifest.ts';
import { type EntryHead, encodeHead, padding } from '../../../src/drivers/box-archive/tar-head.ts';
import { timestamp } from '../../../src/kernel/time.ts';

/** Box archives made piece by piece, so that each piece can be wrong. */

export const manifestInput: ArchiveManifestInput = {
  boxledgerVersion: '0.1.0',
  box: { name: 'a-box', options: { memoryMib: 512 } },
  createdAt: timestamp('2026-11-26T00:00:00.000Z'),
  consistency: 'file-system',
};

export interface ForgedEntry extends Partial<EntryHead> {
  readonly path: string;
  readonly content?: string | Buffer;
  /** What the checksums say of it in place of the truth; null: nothing. */
  readonly checksum?: string | null;
  /** Changes its finished header block. */
  readonly tamper?: (block: Buffer) => void;
}

export interface Forgery {
  readonly entries?: readonly ForgedEntry[];
  /** Laid over the manifest that would be true. */
  readonly manifest?: object;
  /** All of the list of checksums; null: none at all. */
  readonly checksums?: string | null;
  /** After the end. */
  readonly tail?: Buffer;
}

export const root: ForgedEntry = { path: 'disk', kind: 'directory' };

/** The tar inside. */
export const forgeTar = (forgery: Forgery): Buffer => {
  const entries = forgery.entries ?? [root, { path: 'disk/file', content: 'hello' }];
  const manifest = {
    formatVersion: 1,
    ...manifestInput,
    image: null,
    disk: {
      entries: entries.length,
      bytes: entries.reduce((bytes, { content = '' }) => bytes + Buffer.byteLength(content), 0),
      skipped: { sockets: 0, devices: 0 },
    },
    ...forgery.manifest,
  };
  const all: readonly ForgedEntry[] = [
    { path: 'manifest.json', content: JSON.stringify(manifest) },
    ...entries,
  ];
  const list = forgery.checksums === undefined ? all.map(lineOf).join('') : forgery.checksums;
  return Buffer.concat([
    ...all.map(entryOf),
    ...(list === null ? [] : [entryOf({ path: 'SHA256SUMS', content: list })]),
    Buffer.alloc(1024),
    forgery.tail ?? Buffer.alloc(0),
  ]);
};

export const forge = async (forgery: Forgery = {}): Promise<Buffer> => pack(forgeTar(forgery));

export const pack = async (tar: Buffer): Promise<Buffer> => {
  const frames: Buffer[] = [];
  for await (const frame of compressed(chunksOf(tar))) frames.push(frame);
  return Buffer.concat(frames);
};

/** As a stream that comes in pieces of no particular size. */
export async function* chunksOf(bytes: Uint8Array, chunkBytes = 7919): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

const headOf = ({ path, content = '', ...given }: ForgedEntry): EntryHead => ({
  path,
  kind: given.kind ?? 'file',
  mode: given.mode ?? 0o644,
  mtimeMs: given.mtimeMs ?? 0,
  sizeBytes: given.sizeBytes ?? Buffer.byteLength(content),
  target: given.target ?? '',
});

const entryOf = (entry: ForgedEntry): Buffer => {
  const head = encodeHead(headOf(entry));
  if (entry.tamper !== undefined) {
    const block = head.subarray(-512);
    entry.tamper(block);
    block.write('        ', 148);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
  }
  const { content: given = '' } = entry;
  const content = typeof given === 'string' ? Buffer.from(given) : given;
  return Buffer.concat([head, content, padding(content.length)]);
};

const lineOf = (entry: ForgedEntry): string => {
  if (headOf(entry).kind !== 'file' || entry.checksum === null) return '';
  const line = checksumLine(
    entry.path,
    createHash('sha256')
      .update(entry.content ?? '')
      .digest(),
  ).toString();
  return entry.checksum === undefined ? line : line.replace(/[0-9a-f]{64}/, entry.checksum);
};
