import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventReader } from '../../src/events/upcast.ts';
import { boxStream, hostStream, version } from '../../src/kernel/ids.ts';
import { eventRowParser } from '../../src/store/row-parsers.ts';
import { appendRequest, boxAppend, someBoxId, someHostId, someIntent } from '../support/append-request.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

/** A box with an effect, one column of which was then changed by hand. */
const tampered = async (sql: string) => {
  const [box, hostId] = [someBoxId(), someHostId()];
  const intent = someIntent(box, hostId);
  await store.events.append(
    appendRequest([boxAppend({ box, name: 'x', effects: [intent], state: 'removed' })]),
  );
  await store.pool.query(sql.replaceAll('$box', box));
  return { box, hostId, intent };
};

test('an event of a type that nobody knows is internal, and is named', async () => {
  const box = someBoxId();
  await store.pool.query(
    `INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
       actor_id, command_id, correlation_id, hash)
     VALUES (1, now(), 1, $1, 'box.dreamt', '{}', 'default', 'user', 'ada', 'c', 'r', sha256(''))`,
    [boxStream(box)],
  );
  await expect(store.log.readStream(boxStream(box), version(0), 1)).rejects.toMatchObject({
    code: 'Internal',
    message: `the database holds event 1 of box/${box}, a box.dreamt that cannot be understood`,
  });
});

test('an event of an earlier schema version is given in its newest form, and under the version of that', async () => {
  const left = { type: 'host.left', data: { epoch: 1 } } as const;
  await store.events.append(
    appendRequest([{ ...boxAppend(), streamId: hostStream(someHostId()), events: [left], row: null }]),
  );
  const { rows } = await store.pool.query("SELECT * FROM boxledger.events WHERE type = 'host.left'");
  const parse = eventRowParser(eventReader({ 'host.left': [() => ({ epoch: 2 })] }));
  expect(rows[0]).toMatchObject({ schema_version: 1, data: { epoch: 1 } });
  expect(parse(rows[0]).event).toMatchObject({ schemaVersion: 2, data: { epoch: 2 } });
});

test('a view that is none is internal', async () => {
  const { box } = await tampered(`UPDATE boxledger.boxes SET view = '{}' WHERE box_id = '$box'`);
  await expect(store.boxes.find(appendRequest([]).provenance.tenant, box)).rejects.toMatchObject({
    code: 'Internal',
    message: 'the database holds a box that cannot be understood',
  });
});

test('an effect whose arguments are none is internal', async () => {
  const { hostId, intent } = await tampered(
    `UPDATE boxledger.effects SET args = '{"x": 1}' WHERE box_id = '$box'`,
  );
  await expect(store.outbox.claim(intent.effectId, { hostId, epoch: 1 }, 1_000)).rejects.toMatchObject({
    code: 'Internal',
  });
});
