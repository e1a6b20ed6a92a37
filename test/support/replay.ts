import { isDeepStrictEqual } from 'node:util';
import pino from 'pino';
import { expect } from 'vitest';
import { noVersion, streamId as parseStreamId } from '../../src/kernel/ids.ts';
import { foldStream } from '../../src/main/folds.ts';
import { openStore } from '../../src/store/store.ts';

/** Folds every stream of the database afresh and compares it with its head and, for a box, with its row. */
export const expectReplayEqualsHeads = async (databaseUrl: string): Promise<void> => {
  const store = await openStore({ databaseUrl, log: pino({ level: 'silent' }) });
  try {
    const { rows } = await store.pool.query('SELECT DISTINCT stream_id FROM boxledger.events');
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      const streamId = parseStreamId(row.stream_id);
      const [first, ...rest] = await store.log.readStream(streamId, noVersion, 10_000);
      const head = await store.events.load(streamId);
      if (first === undefined || head === undefined) throw new Error(`${streamId} has no events or no head`);
      const fold = foldStream(streamId, [first, ...rest]);
      expect(head.version, streamId).toBe(BigInt(1 + rest.length));
      expect(isDeepStrictEqual(head.snapshot, fold.snapshot), `snapshot of ${streamId}`).toBe(true);
      if (fold.row === null) continue;
      const box = await store.boxes.find(fold.row.tenant, fold.row.boxId);
      expect(box.kind === 'found' && box.box.view, streamId).toEqual(fold.row.view);
    }
  } finally {
    await store.close();
  }
};
