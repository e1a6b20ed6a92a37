import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** Runs one statement as whoever the URL names; the rows. */
export const sql = async (databaseUrl: string, statement: string): Promise<Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
};

export interface TestLogin {
  readonly role: string;
  /** Of the given database, as this login. */
  readonly url: string;
  drop(): Promise<void>;
}

/** A login of the test's own: a member of `memberOf`, or with no rights at all. */
export const createLogin = async (adminUrl: string, memberOf?: string): Promise<TestLogin> => {
  const role = `test_${randomBytes(6).toString('hex')}`;
  await sql(adminUrl, `CREATE ROLE ${role} LOGIN PASSWORD 'secret' ${memberOf ? `IN ROLE ${memberOf}` : ''}`);
  const url = new URL(adminUrl);
  url.username = role;
  url.password = 'secret';
  return {
    role,
    url: url.href,
    drop: async () => {
      await sql(adminUrl, `DROP OWNED BY ${role} CASCADE`);
      await sql(adminUrl, `DROP ROLE ${role}`);
    },
  };
};
