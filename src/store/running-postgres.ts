import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { urlOf } from './postgres-cluster.ts';

/** Where the embedded Postgres of the server that uses a data dir can be reached, for who may read that dir. */
export const runningPostgresUrl = async (dataDir: string): Promise<string> => {
  try {
    const home = await realpath(join(dataDir, 'postgres'));
    // Its fourth line is the port, its fifth the directory of the socket, empty when there is none.
    const lines = (await readFile(join(home, 'data', 'postmaster.pid'), 'utf8')).split('\n');
    const kind = lines[4] === '' ? 'tcp' : 'socket';
    const password = await readFile(join(home, 'password'), 'utf8');
    return urlOf({ home, password, address: { kind, port: Number(lines[3]) } });
  } catch (cause) {
    throw new BoxledgerError(
      'Unavailable',
      `the server that uses ${dataDir} has no Postgres there (${errnoOf(cause)})`,
      {
        help: 'Give its database by --database-url or DATABASE_URL; if the server has only just begun, try again.',
        cause,
      },
    );
  }
};
