import { constants, open } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { errnoOf } from './files.ts';

/**
 * Resolves when the shim that holds the FIFO open is gone, at once if it is already. The kernel tells: no polling, and it
 * makes no difference who started the shim or how it ended.
 */
export const lifelineBroken = async (path: string, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted();
  const socket = await connect(path);
  if (socket === undefined) return;
  try {
    await new Promise<void>((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      socket.once('close', () => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
      socket.once('error', reject);
      socket.resume();
    });
  } finally {
    socket.destroy();
  }
};

/** Undefined when there is no such FIFO any more. */
const connect = async (path: string): Promise<Socket | undefined> => {
  try {
    const fd = await promisify(open)(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: true, writable: false });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
};
