import { generateKeyPairSync } from 'node:crypto';
import type { Checkpoint } from '../../src/audit/checkpoint.ts';
import { exportLines } from '../../src/audit/export-lines.ts';
import { makeCheckpoint } from '../../src/audit/make-checkpoint.ts';
import { readSigningKey, type SigningKey } from '../../src/audit/signing-key.ts';
import type { Verdict } from '../../src/audit/verdict.ts';
import { type VerifyOptions, verifyLog } from '../../src/audit/verify-log.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { PostgresAuditLog } from '../../src/store/postgres-audit-log.ts';
import type { Store } from '../../src/store/store.ts';
import { eventually } from './eventually.ts';

export const someKey = (): SigningKey =>
  readSigningKey(
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'the test’s key',
  );

/** Signs all that is there, in checkpoints of at most `eventsMax` events, once nobody holds its end back any more. */
export const signAll = async (store: Store, key: SigningKey, eventsMax = 1_000): Promise<Checkpoint[]> => {
  await store.checkpoints.addKey(key.keyId, key.publicKeyHex);
  const made: Checkpoint[] = [];
  await eventually('every event is signed', async () => {
    for (;;) {
      const now = () => new Date().toISOString();
      const checkpoint = await makeCheckpoint({
        store: store.checkpoints,
        key,
        eventsMax,
        now,
        crash: noCrash,
      });
      if (checkpoint === undefined) break;
      made.push(checkpoint);
    }
    const { rows } = await store.pool.query('SELECT count(*)::integer AS count FROM boxledger.events');
    return rows[0]?.count === (made.at(-1)?.total ?? (await totalOf(store)));
  });
  return made;
};

const totalOf = async (store: Store): Promise<number> => {
  const last = await store.checkpoints.last();
  return last === undefined ? 0 : JSON.parse(last.body).total;
};

export const verifyDatabase = async (databaseUrl: string, options: VerifyOptions = {}): Promise<Verdict> => {
  const log = await PostgresAuditLog.open(databaseUrl);
  try {
    return await verifyLog(log, options);
  } finally {
    await log.close();
  }
};

/** The whole log as `audit export` writes it. */
export const exportTo = async (databaseUrl: string): Promise<string> => {
  const log = await PostgresAuditLog.open(databaseUrl);
  try {
    const scope = { streamId: null, fromSequence: 1, toSequence: null };
    let text = '';
    for await (const lines of exportLines(scope, await log.keyList(), log.parts())) text += lines;
    return text;
  } finally {
    await log.close();
  }
};
