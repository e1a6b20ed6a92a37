import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { prepareDatabase, warnOfPower } from '../../src/main/prepare-database.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { createLogin, sql, type TestLogin } from '../support/roles.ts';

let database: TestDatabase;
const logins: TestLogin[] = [];
beforeAll(async () => {
  database = await createDatabase();
  await prepareDatabase(database.url, {}, pino({ level: 'silent' }));
});
afterAll(async () => {
  for (const login of logins) await login.drop();
  await database.drop();
});

/** What the log is told when the database is prepared and served by this URL. */
const warningsOf = async (url: string): Promise<string[]> => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(JSON.parse(line).msg) });
  warnOfPower((await prepareDatabase(url, {}, log)).standing, log);
  return lines;
};

const login = async (memberOf?: string) => {
  const made = await createLogin(database.url, memberOf);
  logins.push(made);
  return made;
};

test('to serve as a superuser or as the owner is warned of once', async () => {
  expect(await warningsOf(database.url)).toEqual([
    expect.stringMatching(/^serving as a superuser.*serve as boxledger_service, see docs/),
  ]);
  expect(await warningsOf((await login('boxledger_owner')).url)).toEqual([
    expect.stringMatching(/^serving as the owner of the log/),
  ]);
});

test('to serve as the service is warned of by nothing', async () => {
  expect(await warningsOf((await login('boxledger_service')).url)).toEqual([]);
});

test('a role that may not make roles serves, and is told how to have them made', async () => {
  const fresh = await createDatabase();
  const { role, url, drop } = await createLogin(fresh.url);
  await sql(fresh.url, `GRANT CREATE ON DATABASE ${new URL(fresh.url).pathname.slice(1)} TO ${role}`);
  expect(await warningsOf(url)).toEqual([expect.stringMatching(/^this role may not make boxledger's roles/)]);
  await drop();
  await fresh.drop();
});
