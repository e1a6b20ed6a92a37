import { readFileSync } from 'node:fs';
import pg from 'pg';
import { z } from 'zod';
import { advisoryLocks } from './advisory-locks.ts';
import { inTransaction, withConnection } from './database.ts';
import { statement } from './statement.ts';

const settle = readFileSync(new URL('./roles.sql', import.meta.url), 'utf8');
const standingOf = statement('standing');
const insufficientPrivilege = '42501';

/** What the role of a connection may do with the log besides adding to it and reading it. */
export interface Standing {
  readonly role: string;
  /** Superusers can switch off what refuses to change the log. */
  readonly isSuperuser: boolean;
  /** As can the owner of its tables. */
  readonly ownsLog: boolean;
  /** The roles are there, and the log belongs to the owner's. */
  readonly rolesSettled: boolean;
}

const standingRow = z
  .object({ role: z.string(), is_superuser: z.boolean(), owns_log: z.boolean(), roles_settled: z.boolean() })
  .transform((row) => ({
    role: row.role,
    isSuperuser: row.is_superuser,
    ownsLog: row.owns_log,
    rolesSettled: row.roles_settled,
  }));

/** Needs the schema. */
export const readStanding = (databaseUrl: string): Promise<Standing> =>
  withConnection(databaseUrl, readStandingOn);

export const readStandingOn = async (client: pg.ClientBase): Promise<Standing> => {
  const { rows } = await client.query(standingOf.text);
  return standingRow.parse(rows[0]);
};

/**
 * Makes the roles `boxledger_owner` and `boxledger_service` unless they are there, gives the first everything and the second
 * what roles.sql says. Does nothing for a role that cannot migrate, and for one that may not make roles: the answer, where
 * things stand now, tells. After the migrations, and after BullMQ's where the queue is in Postgres.
 */
export const settleRoles = (databaseUrl: string): Promise<Standing> =>
  withConnection(databaseUrl, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [advisoryLocks.migrating]);
    const standing = await readStandingOn(client);
    if (!standing.isSuperuser && !standing.ownsLog) return standing;
    try {
      await inTransaction(client, () => client.query(settle));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === insufficientPrivilege)) throw error;
    }
    return readStandingOn(client);
  });

/** Lets the service's role log in by the name and password of `serviceUrl`. For a server that is all ours. */
export const admitService = (ownerUrl: string, serviceUrl: string): Promise<void> =>
  withConnection(ownerUrl, async (client) => {
    const { username, password } = new URL(serviceUrl);
    const [role, secret] = [pg.escapeIdentifier(username), pg.escapeLiteral(decodeURIComponent(password))];
    await client.query(`ALTER ROLE ${role} LOGIN PASSWORD ${secret}`);
  });
