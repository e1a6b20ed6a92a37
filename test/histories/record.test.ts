import pg from 'pg';
import { expect, test } from 'vitest';
import { boxStates } from '../../src/events/box-view.ts';
import { boxStream, defaultTenant } from '../../src/kernel/ids.ts';
import { historyOf } from '../machines/box/story.ts';
import { recordBox } from '../support/recorded-box.ts';
import { createStore } from '../support/store.ts';
import { readHistory, writeHistory } from './record.ts';

test('a history recorded from a live log ends in what the service says of the box', async () => {
  const store = await createStore();
  const client = new pg.Client({ connectionString: store.databaseUrl });
  await client.connect();
  for (const state of boxStates) {
    const boxId = await recordBox(store, historyOf[state]);
    const history = await readHistory(client, boxStream(boxId), state);
    const found = await store.boxes.find(defaultTenant, boxId);
    expect(found).toMatchObject({ box: { view: history.final } });
    expect(history.events.map(({ type }) => type)).toEqual(historyOf[state].map(({ type }) => type));
  }
  await client.end();
  await store.close();
});

test('a history that is there already is not written over', async () => {
  const history = { about: 'another past', streamId: 'box/bx_0123456789abcdef', events: [], final: {} };
  await expect(writeHistory('box-whole-life', history)).rejects.toThrow('not written over');
});
