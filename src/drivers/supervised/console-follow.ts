import { type FSWatcher, watch } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { errnoOf } from '../../kernel/errno.ts';
import { readBootRecord } from './boot-record.ts';
import { consoleTail, visible } from './console-tail.ts';
import type { BoxLayout } from './layout.ts';
import { lifelineBroken } from './lifeline.ts';

/** Between two looks at a console that somebody follows; one that nobody follows is not looked at. */
const lookMs = 200;
const chunkBytes = 64 * 1024;

/**
 * What is on the console of the box's last start, at most its last `maxBytes`, and then what is written to it, until that
 * run of the box has ended and all of it is read.
 */
export async function* followConsole(
  box: BoxLayout,
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const record = await readBootRecord(box);
  if (record === undefined) return;
  const { console, lifeline } = box.attempt(record.nonce);
  const left = new AbortController();
  let over = false;
  const end = () => {
    over = true;
  };
  lifelineBroken(lifeline, AbortSignal.any([signal, left.signal])).then(end, end);
  try {
    yield* followFiles(console, maxBytes, () => over, signal);
  } finally {
    left.abort();
  }
}

/**
 * The shim writes to the later of the two files; when that is full, it becomes the earlier one and another is begun. A box
 * that goes through both while nobody gets to read has written more than is kept: what was between is lost.
 */
async function* followFiles(
  [later, earlier]: readonly [string, string],
  maxBytes: number,
  isOver: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  const change = new Change(dirname(later));
  let file = await openIfThere(later);
  try {
    // Whatever is written from here on is read from the file that is open, whoever renames it meanwhile.
    let at = file === undefined ? 0 : (await file.stat()).size;
    yield await consoleTail([later, earlier], maxBytes);
    while (!signal.aborted) {
      // Both before the read: a file that has been renamed is whole, and a box that is over has written all.
      const [wasOver, wasFull] = [isOver(), file !== undefined && !(await isAt(file, later))];
      const read = file === undefined ? Buffer.alloc(0) : await readAt(file, at);
      at += read.length;
      if (read.length > 0) yield visible(decoder.write(read));
      else if (file === undefined || wasFull) {
        const next = await nextAfter(file, later, earlier);
        if (next === undefined && wasOver) return;
        if (next === undefined) await change.within(lookMs, signal);
        else {
          await file?.close();
          [file, at] = [next, 0];
        }
      } else if (wasOver) return;
      else await change.within(lookMs, signal);
    }
  } finally {
    change.close();
    await file?.close();
  }
}

/** Tells that something in a directory has changed since it was last asked. It may miss something: look by yourself too. */
class Change {
  readonly #watcher: FSWatcher | undefined;
  #changed = false;
  #wake: () => void = () => undefined;

  constructor(directory: string) {
    try {
      this.#watcher = watch(directory, { persistent: false }, () => {
        this.#changed = true;
        this.#wake();
      });
      this.#watcher.on('error', () => undefined); // the directory is gone, and looking goes on
    } catch {
      this.#watcher = undefined; // no watches are left on this machine
    }
  }

  async within(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#changed && !signal.aborted)
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        signal.addEventListener('abort', done, { once: true });
        this.#wake = done;
      });
    this.#changed = false;
  }

  close(): void {
    this.#watcher?.close();
  }
}

/** The file that was begun after `file`, which is full, as far as it is still there. */
const nextAfter = async (
  file: FileHandle | undefined,
  later: string,
  earlier: string,
): Promise<FileHandle | undefined> => {
  const passedOver = file !== undefined && !(await isAt(file, earlier));
  return (passedOver ? await openIfThere(earlier) : undefined) ?? openIfThere(later);
};

const readAt = async (file: FileHandle, at: number): Promise<Buffer> => {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at);
  return buffer.subarray(0, bytesRead);
};

/** Whether the path leads to the file. */
const isAt = async (file: FileHandle, path: string): Promise<boolean> => {
  try {
    const [open, there] = await Promise.all([file.stat(), stat(path)]);
    return open.ino === there.ino;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
};

const openIfThere = async (path: string): Promise<FileHandle | undefined> => {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
};
