import { afterAll, beforeAll, expect, test } from 'vitest';
import { settleRoles } from '../../src/store/roles.ts';
import { appendRequest, boxAppend } from '../support/append-request.ts';
import { createLogin, sql, type TestLogin } from '../support/roles.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
let service: TestLogin;
let owner: TestLogin;
beforeAll(async () => {
  store = await createStore();
  await settleRoles(store.databaseUrl);
  service = await createLogin(store.databaseUrl, 'boxledger_service');
  owner = await createLogin(store.databaseUrl, 'boxledger_owner');
  await store.events.append(appendRequest([boxAppend()]));
});
afterAll(async () => {
  await service.drop();
  await owner.drop();
  await store.close();
});

const changes = {
  'an update': "UPDATE boxledger.events SET reason = 'forged'",
  'a delete': 'DELETE FROM boxledger.events',
  'a delete of nothing': 'DELETE FROM boxledger.events WHERE false',
  'a truncate': 'TRUNCATE boxledger.events',
};

test.each(Object.entries(changes))('%s of the log is refused, also to a superuser', async (_, change) => {
  await expect(sql(store.databaseUrl, change)).rejects.toMatchObject({ code: '55000' });
});

test.each(Object.entries(changes))('%s of the log is refused to its owner', async (_, change) => {
  await expect(sql(owner.url, change)).rejects.toMatchObject({ code: '55000' });
});

test.each([
  ...Object.entries(changes),
  ['a drop', 'DROP TABLE boxledger.events'],
  ['switching off what refuses', 'ALTER TABLE boxledger.events DISABLE TRIGGER ALL'],
  ['replacing what refuses', 'ALTER FUNCTION boxledger.refuse_change() RENAME TO gone'],
  ['taking the owner`s place', 'SET ROLE boxledger_owner'],
  ['a table of its own in the schema', 'CREATE TABLE boxledger.mine ()'],
  ['a migration', "INSERT INTO boxledger.migrations (number, name) VALUES (9999, 'mine')"],
  ['an epoch', 'DELETE FROM boxledger.log_epochs'],
])('%s is not in the rights of the service', async (_, change) => {
  await expect(sql(service.url, change)).rejects.toMatchObject({ code: '42501' });
});
