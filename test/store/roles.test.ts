import { afterAll, beforeAll, expect, test } from 'vitest';
import { folding } from '../../src/main/folds.ts';
import { migrate } from '../../src/store/migrate.ts';
import { readStanding, settleRoles } from '../../src/store/roles.ts';
import { openStore } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId, someHostId, someIntent } from '../support/append-request.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createLogin, sql } from '../support/roles.ts';
import { silentLog } from '../support/store.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await migrate(database.url);
  await settleRoles(database.url);
});
afterAll(() => database.drop());

test('the service adds to the log and reads it, and of the rest may change what can be made again', async () => {
  const rows = await sql(
    database.url,
    `SELECT format('%s: %s', c.relname, string_agg(lower(a.privilege_type), ', ' ORDER BY a.privilege_type)) AS line
     FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'boxledger'::regnamespace AND a.grantee = 'boxledger_service'::regrole
     GROUP BY c.relname`,
  );
  const everything = 'delete, insert, select, update';
  const rights = Object.fromEntries(rows.map(({ line }) => String(line).split(': ')));
  expect(rights).toMatchObject({
    events: 'insert, select',
    checkpoints: 'insert, select',
    checkpoint_keys: 'insert, select',
    consumers: everything,
    migrations: 'select',
    log_epochs: 'select',
    heads: everything,
    effects: everything,
    commands: everything,
    boxes: everything,
    execs: everything,
  });
});

test('all that the store does is in the rights of the service', async () => {
  const login = await createLogin(database.url, 'boxledger_service');
  const store = await openStore({ databaseUrl: login.url, log: silentLog });
  expect(await store.migrate()).toEqual([]);
  const [box, host] = [someBoxId(), someHostId()];
  const intent = someIntent(box, host);
  const created = await store.events.append(appendRequest([boxAppend({ box, effects: [intent] })]));
  expect(created).toMatchObject({ kind: 'appended' });
  await eventually('the event is read', async () => (await store.log.readAll('', 10)).events.length === 1);
  await store.outbox.takeUnqueued(0, 10);
  const claimed = await store.outbox.claim(intent.effectId, { hostId: host, epoch: 1 }, 1_000);
  expect(claimed.kind).toBe('claimed');
  await store.outbox.takeOverdue(10, 1_000);
  await store.outbox.releaseEarlierEpochs(host, 2);
  expect(await store.rebuild(folding)).toEqual({ streams: 1 });
  await store.close();
  await login.drop();
});

test('databases that are migrated at the same time share the roles', async () => {
  const fresh = await Promise.all([createDatabase(), createDatabase(), createDatabase()]);
  const standings = await Promise.all(
    fresh.map(async ({ url }) => {
      await migrate(url);
      return settleRoles(url);
    }),
  );
  expect(standings.map(({ rolesSettled }) => rolesSettled)).toEqual([true, true, true]);
  for (const { drop } of fresh) await drop();
});

test('who may act as the owner hands over what it made without being a superuser', async () => {
  const fresh = await createDatabase();
  const login = await createLogin(fresh.url, 'boxledger_owner');
  await sql(fresh.url, `GRANT CREATE ON DATABASE ${new URL(fresh.url).pathname.slice(1)} TO ${login.role}`);
  await migrate(login.url);
  expect(await settleRoles(login.url)).toEqual({
    role: login.role,
    isSuperuser: false,
    ownsLog: true,
    rolesSettled: true,
  });
  expect(await migrate(login.url)).toEqual([]);
  await login.drop();
  await fresh.drop();
});

test('a role that may not make roles migrates all the same, and says that it owns what it made', async () => {
  const fresh = await createDatabase();
  const login = await createLogin(fresh.url);
  await sql(fresh.url, `GRANT CREATE ON DATABASE ${new URL(fresh.url).pathname.slice(1)} TO ${login.role}`);
  await migrate(login.url);
  const standing = { role: login.role, isSuperuser: false, ownsLog: true, rolesSettled: false };
  expect(await settleRoles(login.url)).toEqual(standing);
  expect(await readStanding(login.url)).toEqual(standing);
  await login.drop();
  await fresh.drop();
});

test('a service whose database is behind is told who brings it up to date', async () => {
  const fresh = await createDatabase();
  await migrate(fresh.url);
  await settleRoles(fresh.url);
  const login = await createLogin(fresh.url, 'boxledger_service');
  await sql(fresh.url, 'DELETE FROM boxledger.migrations WHERE number = 9');
  await expect(migrate(login.url)).rejects.toMatchObject({
    code: 'PermissionDenied',
    help: 'Run boxledger migrate as the owner of the schema, or as a superuser.',
  });
  await login.drop();
  await fresh.drop();
});
