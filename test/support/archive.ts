import { truncate, writeFile } from 'node:fs/promises';
import { Header, Parser, type ReadEntry } from 'tar';

export const plainUpload = { overwrite: true, recursive: true, renameRoot: false, keepOwners: false };
export const plainDownload = {
  followSymlinks: false,
  followSource: false,
  includeParent: false,
  recursive: true,
};

export interface TestEntry {
  readonly path: string;
  readonly type?: ReadEntry['type'];
  readonly linkpath?: string;
  readonly content?: string | Uint8Array;
  readonly mode?: number;
}

const modified = new Date('2026-01-02T03:04:05Z');

/** An archive with exactly these entries, sensible or not. */
export const archiveOf = (...entries: readonly TestEntry[]): Buffer => {
  const blocks = entries.flatMap(({ path, type = 'File', linkpath, content = '', mode = 0o644 }) => {
    const data = Buffer.from(content);
    const block = Buffer.alloc(512);
    const header = new Header({
      path,
      type,
      mode,
      size: data.length,
      mtime: modified,
      ...(linkpath !== undefined && { linkpath }),
    });
    if (header.encode(block, 0)) throw new Error(`${path} does not fit into a plain header`);
    return [block, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
};

/** A file of zeros that takes no room. */
export const writeSparse = async (path: string, mib: number): Promise<void> => {
  await writeFile(path, '');
  await truncate(path, mib * 1024 * 1024);
};

/** In pieces of a size that fits no boundary of the format. */
export async function* pieces(archive: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.length; at += size) yield archive.subarray(at, at + size);
}

/** What is in an archive: paths, with content for files, the target for links, and '/' for directories. */
export const listing = async (archive: AsyncIterable<Uint8Array>): Promise<Record<string, string>> => {
  const found: Record<string, string> = {};
  const parser = new Parser({ strict: true });
  parser.on('entry', (entry: ReadEntry) => {
    const content: Buffer[] = [];
    entry.on('data', (chunk: Buffer) => content.push(chunk));
    entry.on('end', () => {
      found[entry.path] =
        entry.type === 'Directory' ? '/' : (entry.linkpath ?? Buffer.concat(content).toString());
    });
  });
  const ended = new Promise((resolve) => parser.once('end', resolve));
  for await (const piece of archive) parser.write(Buffer.from(piece));
  parser.end();
  await ended;
  return found;
};
