import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BoxEvent } from '../../src/events/box-events.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import type { BoxId } from '../../src/kernel/ids.ts';
import { type ArchiveOptions, archive } from '../../src/store/archiving.ts';
import type { Store } from '../../src/store/store.ts';
import { appendRequest, boxAppend, someBoxId } from './append-request.ts';
import { signAll, someKey } from './audited.ts';
import { eventually } from './eventually.ts';
import { cutPartition } from './partitions.ts';

const healthy: BoxEvent = { type: 'box.healthChanged', data: { health: 'healthy' } };

/**
 * A log of three partitions, all of it signed. In the first `over` is created and removed, `between` and `lasting` are created; in
 * the second `between` is removed and `lasting` goes on; in the third, the present one, `lasting` goes on.
 */
export const makeThreePartitions = async (store: Store, databaseUrl: string) => {
  const [over, between, lasting] = [someBoxId(), someBoxId(), someBoxId()];
  const ends = new Map<BoxId, { readonly version: bigint; readonly hash: string }>();
  const append = async (box: BoxId, state: 'configured' | 'running' | 'removed' = 'running') => {
    const after = ends.get(box);
    const stream =
      after === undefined
        ? boxAppend({ box, state })
        : boxAppend({ box, state, after, events: [healthy, healthy] });
    const result = await store.events.append(appendRequest([stream]));
    if (result.kind !== 'appended' || result.streams[0] === undefined) throw new Error(result.kind);
    ends.set(box, result.streams[0]);
  };
  for (const box of [over, between, lasting]) await append(box, 'configured');
  await append(over, 'removed');
  await cutPartition(databaseUrl);
  await append(lasting);
  await append(between, 'removed');
  await cutPartition(databaseUrl);
  await append(lasting);
  await eventually('every partition but the last is closed', async () => {
    const { rows } = await store.pool.query(
      'SELECT FROM boxledger.partitions WHERE ends <= boxledger.horizon()',
    );
    return rows.length === 2;
  });
  const key = someKey();
  await signAll(store, key, 3);
  return { over, between, lasting, key, append };
};

/** Into a directory of the test's own. */
export const createArchiveDir = async () => {
  const path = await mkdtemp(join(tmpdir(), 'boxledger-archive-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
};

export const archiveTo = (databaseUrl: string, directory: string, options: Partial<ArchiveOptions> = {}) =>
  archive(databaseUrl, {
    before: { sequence: Number.MAX_SAFE_INTEGER },
    directory,
    crash: noCrash,
    signal: new AbortController().signal,
    ...options,
  });
