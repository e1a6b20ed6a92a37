import { close, constants, open, read } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { errnoOf } from '../../kernel/errno.ts';

/**
 * Resolves when the shim that holds the FIFO open is gone, at once if it is already. The kernel tells: no polling, and it
 * makes no difference who started the shim or how it ended. An abort rejects with the signal's reason.
 */
export const lifelineBroken = async (path: string, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted();
  const fd = await openIfThere(path);
  if (fd === undefined) return;
  // A FIFO that had no writer when it was opened never shows its end to poll(2), only to read(2).
  if (await isAtEnd(fd)) return promisify(close)(fd);
  const socket = new Socket({ fd, readable: true, writable: false });
  let abort: () => void = () => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      socket.once('close', resolve);
      socket.once('error', reject);
      socket.resume();
    });
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
};

const openIfThere = async (path: string): Promise<number | undefined> => {
  try {
    return await promisify(open)(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
};

const isAtEnd = async (fd: number): Promise<boolean> => {
  try {
    return (await promisify(read)(fd, Buffer.alloc(1), 0, 1, null)).bytesRead === 0;
  } catch (error) {
    if (errnoOf(error) === 'EAGAIN') return false;
    throw error;
  }
};
