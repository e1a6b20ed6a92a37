import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pino from 'pino';
import { withConnection } from '../store/database.ts';
import { openEmbeddedPostgres } from '../store/embedded-postgres.ts';

const bin = fileURLToPath(new URL('../../bin/boxledger.mjs', import.meta.url));

/**
 * Has `boxledger audit verify` prove the log that a server has left behind; then edits one row in a copy of its database, as
 * a superuser with all guards taken down, and shows that this is found. True when both came out as they should.
 */
export const auditLog = async (
  dataDir: string,
  boxId: string,
  say: (line: string) => void,
): Promise<boolean> => {
  const postgres = await openEmbeddedPostgres(dataDir, pino({ level: 'silent' }));
  try {
    say('\n▸ the server has ended; boxledger audit verify: the whole log, from its database');
    const honest = await verify(postgres.url, say);
    say('\n▸ the same on a copy, in which a superuser has switched the triggers off and edited one row');
    const copyUrl = await copyDatabase(postgres.url);
    await withConnection(copyUrl, async (client) => {
      await client.query('SET session_replication_role = replica');
      await client.query(
        `UPDATE boxledger.events SET actor_id = 'somebody else' WHERE stream_id = $1 AND type = 'box.removed'`,
        [`box/${boxId}`],
      );
    });
    const edited = await verify(copyUrl, say);
    return honest === 0 && edited === 1;
  } finally {
    await postgres.close();
  }
};

/** Runs the command as any user would, its output indented; resolves with its exit code. */
const verify = async (databaseUrl: string, say: (line: string) => void): Promise<number | null> => {
  const child = spawn(process.execPath, [bin, 'audit', 'verify', '--database-url', databaseUrl], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  for (const line of (await text(child.stdout)).trimEnd().split('\n')) say(`    ${line}`);
  const code = await ended;
  say(`    exit code ${code}`);
  return code;
};

/** Nobody uses the original at that moment, as making a copy of it asks for. */
const copyDatabase = async (databaseUrl: string): Promise<string> => {
  const of = (name: string) => {
    const url = new URL(databaseUrl);
    url.pathname = `/${name}`;
    return url.href;
  };
  const original = new URL(databaseUrl).pathname.slice(1);
  await withConnection(of('postgres'), (client) => client.query(`CREATE DATABASE copy TEMPLATE ${original}`));
  return of('copy');
};
