import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { errnoOf } from '../kernel/errno.ts';

/** `sun_path` less its NUL; Linux has 108 bytes, macOS 104. */
const pathMaxBytes = 103;

/**
 * Serves on a unix socket that only the agent's own user can open. A socket file that nobody answers on, left by an
 * agent that was killed, is replaced.
 */
export const listenOnUnixSocket = async (server: Server, path: string): Promise<void> => {
  if (Buffer.byteLength(path) > pathMaxBytes)
    throw new Error(`the socket's path has more than ${pathMaxBytes} bytes: ${path}`);
  await removeStale(path);
  const umask = process.umask(0o177); // set while the file is made: a chmod afterwards would leave a gap
  try {
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  } finally {
    process.umask(umask);
  }
};

const removeStale = async (path: string) => {
  try {
    const found = await lstat(path);
    if (!found.isSocket()) throw new Error(`${path} is there, and is not a socket`);
    if (await answers(path)) throw new Error(`another agent answers on ${path}`);
    await unlink(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
};

const answers = (path: string) =>
  new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
