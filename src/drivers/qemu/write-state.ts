import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { flushFile } from './layered-disk.ts';
import { type AskMachine, migrated } from './qmp.ts';

const name = 'state.sock';

/**
 * Writes the state of a machine that stands still to a file at a path at which nothing is, its memory in it unless that was
 * left out. `guest`: the directory that it shares with its host, and where it has that. It hands the state over by a socket there.
 */
export const writeState = async (
  ask: AskMachine,
  { guest, guestInside }: { readonly guest: string; readonly guestInside: string },
  path: string,
  signal: AbortSignal,
  limitMs?: number,
): Promise<void> => {
  // By a descriptor: the path may be too long for a socket's.
  const directory = await open(guest, 'r');
  const server = createServer();
  try {
    await rm(join(guest, name), { force: true });
    const umask = process.umask(0); // set while the socket is made: the directory is QEMU's, and a chmod would follow what it puts there
    server.listen(`/proc/self/fd/${directory.fd}/${name}`);
    process.umask(umask);
    await once(server, 'listening');
    const came = once(server, 'connection', { signal }) as Promise<[Socket]>; // a server's event has one
    came.catch(() => undefined); // told to whoever waits for it, if anybody does
    await ask('migrate-set-parameters', { 'max-bandwidth': unlimited });
    await ask('migrate', { uri: `unix:${join(guestInside, name)}` });
    const [socket] = await came;
    const written = pipeline(socket, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal });
    await Promise.all([written, migrated(ask, limitMs)]);
    await flushFile(path);
  } finally {
    server.close();
    await directory.close();
    await rm(join(guest, name), { force: true });
  }
};

/** Bytes a second. */
const unlimited = 2 ** 40;
