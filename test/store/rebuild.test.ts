import { expect, test } from 'vitest';
import type { BoxRow } from '../../src/commands/event-store.ts';
import { boxStream } from '../../src/kernel/ids.ts';
import { appendRequest, boxAppend, someBoxId } from '../support/append-request.ts';
import { createStore } from '../support/store.ts';

test('heads and box rows are rebuilt from the log as they were', async () => {
  const store = await createStore();
  const rows = new Map<string, BoxRow | null>();
  for (let index = 0; index < 60; index += 1) {
    const box = someBoxId();
    const first = await store.events.append(appendRequest([boxAppend({ box })]));
    if (first.kind !== 'appended' || first.streams[0] === undefined) throw new Error(first.kind);
    const second = boxAppend({
      box,
      after: first.streams[0],
      events: Array.from({ length: 40 }, () => removed) as unknown as readonly [typeof removed], // it has forty
    });
    await store.events.append(appendRequest([second]));
    rows.set(second.streamId, second.row);
  }
  const dump = async () => ({
    heads: (await store.pool.query('SELECT * FROM boxledger.heads ORDER BY stream_id')).rows,
    boxes: (await store.pool.query('SELECT * FROM boxledger.boxes ORDER BY box_id')).rows,
  });
  const before = await dump();
  await store.pool.query('DELETE FROM boxledger.heads WHERE version > 1');
  await store.pool.query("UPDATE boxledger.boxes SET state = 'lost', name = box_id");

  const lengths: unknown[] = [];
  const result = await store.rebuild({
    evolve: (length = 0) => Number(length) + 1,
    result: (streamId, length) => {
      lengths.push(length);
      return {
        snapshot: { value: 'configured' },
        fingerprint: 'fingerprint',
        row: rows.get(streamId) ?? null,
      };
    },
  });
  expect(result).toEqual({ streams: 60 });
  expect(new Set(lengths)).toEqual(new Set([41]));
  expect(await dump()).toEqual(before);
  await store.close();
});
const removed = { type: 'box.removed', data: { diskAbandoned: false } } as const;

test('a fold that fails leaves the old heads', async () => {
  const store = await createStore();
  const box = someBoxId();
  await store.events.append(appendRequest([boxAppend({ box })]));
  const folding = {
    evolve: () => {
      throw new RangeError('no such event');
    },
    result: () => {
      throw new Error('nothing was folded');
    },
  };
  await expect(store.rebuild(folding)).rejects.toMatchObject({ code: 'Internal' });
  expect((await store.events.load(boxStream(box)))?.version).toBe(1n);
  await store.close();
});
