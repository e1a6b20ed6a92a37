import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import {
  chmod,
  chown,
  type FileHandle,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  symlink,
  utimes,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../../kernel/errno.ts';
import { badArchive, strangeTarget } from '../box-archive/bad-archive.ts';
import type { ArchiveSink } from '../box-archive/read-archive.ts';
import type { EntryHead } from '../box-archive/tar-head.ts';
import type { Owner } from './disk.ts';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

/** What is nothing but zeros over this length becomes a hole. */
const holeBytes = 64 * 1024;
const zeros = Buffer.alloc(holeBytes);

/**
 * Makes a tree of an archive's entries. Nobody else knows of it meanwhile, so what has been looked at stays as it was.
 * Nothing that is there is ever opened: each entry makes something new, or fails.
 */
export class DiskUnpacking implements ArchiveSink {
  readonly #root: string;
  readonly #owner: Owner;
  /** Directories get their mode and time when all is in them. */
  readonly #open: EntryHead[] = [];

  constructor(root: string, owner: Owner) {
    this.#root = root;
    this.#owner = owner;
  }

  begin(): void {
    // The manifest has nothing to say about where files go.
  }

  async entry(head: EntryHead, content: AsyncIterable<Buffer>): Promise<void> {
    const depth = head.path.split('/').length - 1;
    while (this.#open.length > depth) await this.#leave();
    try {
      await this.#make(head, this.#pathOf(head.path), content);
    } catch (error) {
      const problem = problems[errnoOf(error) ?? ''];
      throw problem === undefined ? error : badArchive(head.path, problem, { cause: error });
    }
    if (head.kind === 'directory') this.#open.push(head);
  }

  async end(): Promise<void> {
    while (this.#open.length > 0) await this.#leave();
  }

  async #make(head: EntryHead, path: string, content: AsyncIterable<Buffer>): Promise<void> {
    switch (head.kind) {
      case 'directory':
        return mkdir(path, { mode: 0o700 }).then(() => undefined);
      case 'file':
        return this.#file(head, path, content);
      case 'link':
        await this.#refuseStrangeTarget(head);
        return link(this.#pathOf(head.target), path);
      case 'symlink':
        await symlink(head.target, path);
        if (this.#owner !== undefined) await lchown(path, this.#owner, this.#owner);
        return lutimes(path, seconds(head), seconds(head));
      case 'fifo':
        await promisify(execFile)('mkfifo', ['-m', '600', '--', path]);
        return this.#dress(head, path);
      default:
        return head.kind satisfies never;
    }
  }

  async #file(head: EntryHead, path: string, content: AsyncIterable<Buffer>): Promise<void> {
    const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      let at = 0;
      for await (const chunk of content)
        for (let from = 0; from < chunk.length; from += holeBytes) {
          const piece = chunk.subarray(from, from + holeBytes);
          if (!piece.equals(zeros.subarray(0, piece.length))) await writeAt(file, piece, at);
          at += piece.length;
        }
      await file.truncate(head.sizeBytes); // a hole at the end
      if (this.#owner !== undefined) await file.chown(this.#owner, this.#owner);
      await file.chmod(head.mode); // a change of owner takes set-id bits away
      await file.utimes(seconds(head), seconds(head));
    } finally {
      await file.close();
    }
  }

  /** What a hard link names has to be a file of the archive, reached through directories of the archive alone. */
  async #refuseStrangeTarget(head: EntryHead): Promise<void> {
    const names = head.target.split('/');
    for (let depth = 1; depth <= names.length; depth += 1) {
      const stats = await lstat(this.#pathOf(names.slice(0, depth).join('/'))).catch((error: unknown) => {
        if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
        throw error;
      });
      if (depth < names.length ? stats?.isDirectory() : stats?.isFile()) continue;
      throw strangeTarget(head);
    }
  }

  async #leave(): Promise<void> {
    const head = this.#open.pop();
    if (head !== undefined) await this.#dress(head, this.#pathOf(head.path));
  }

  async #dress(head: EntryHead, path: string): Promise<void> {
    if (this.#owner !== undefined) await chown(path, this.#owner, this.#owner);
    await chmod(path, head.mode);
    await utimes(path, seconds(head), seconds(head));
  }

  /** `disk/a` → `ROOT/a`; `disk` is the root. */
  #pathOf(path: string): string {
    return join(this.#root, path.slice('disk'.length));
  }
}

/** Cut off on its way to the file system: half a microsecond keeps a fraction that binary cannot hold from losing 1 ms. */
const seconds = ({ mtimeMs }: EntryHead): number => (mtimeMs + 0.0005) / 1000;

const writeAt = async (file: FileHandle, bytes: Buffer, position: number): Promise<void> => {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
};

/** What the file system has against an entry that was made as the archive says. */
const problems: Readonly<Record<string, string>> = {
  EEXIST: 'it is there twice, as the file system here sees names',
  ENAMETOOLONG: 'its path is too long here',
  EILSEQ: 'the file system here does not take its name',
  EMLINK: 'it has more names than the file system here allows',
};
