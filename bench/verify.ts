import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { makeCheckpoint } from '../src/audit/make-checkpoint.ts';
import { readSigningKey, type SigningKey } from '../src/audit/signing-key.ts';
import { verifyLog } from '../src/audit/verify-log.ts';
import type { StreamAppend } from '../src/commands/event-store.ts';
import type { BoxEvent } from '../src/events/box-events.ts';
import { assert } from '../src/kernel/assert.ts';
import { noCrash } from '../src/kernel/crash-point.ts';
import { boxId, boxStream, commandId, hostId, noVersion, version } from '../src/kernel/ids.ts';
import { timestampFromMs } from '../src/kernel/time.ts';
import { PostgresAuditLog } from '../src/store/postgres-audit-log.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { type Benchmark, inRounds } from './benchmark.ts';
import { provenanceOf } from './provenance.ts';

const streams = 1_000;
const eventsEach = 100;

/** A log of 100 000 events is verified whole: every hash, every leaf, every signature. */
export const benchVerify: Benchmark = async (setting) => {
  const { databaseUrl } = setting;
  const store = await openStore(setting);
  await store.migrate();
  await fill(store);
  await store.pool.query('VACUUM ANALYZE boxledger.events');
  await signAll(store);
  await store.close();
  const seconds = await inRounds(setting, () => verifyOnce(databaseUrl));
  const events = streams * eventsEach;
  return [
    {
      benchmark: 'verify',
      subject: 'events of a signed log',
      callers: null,
      unit: '/s',
      rounds: seconds.map((took) => events / took),
    },
  ];
};

const verifyOnce = async (databaseUrl: string): Promise<number> => {
  const source = await PostgresAuditLog.open(databaseUrl);
  try {
    const began = performance.now();
    const { findings, events } = await verifyLog(source);
    const took = (performance.now() - began) / 1000;
    assert(findings.length === 0 && events === streams * eventsEach, 'the log is whole');
    return took;
  } finally {
    await source.close();
  }
};

const signAll = async (store: Store) => {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const key: SigningKey = readSigningKey(pem, 'the benchmark’s key');
  await store.checkpoints.addKey(key.keyId, key.publicKeyHex);
  const options = { store: store.checkpoints, key, eventsMax: 10_000, crash: noCrash };
  const now = () => new Date().toISOString();
  while ((await makeCheckpoint({ ...options, now })) !== undefined);
};

/** Boxes that are started and stopped again and again, each in one append. */
const fill = async (store: Store) => {
  for (let number = 0; number < streams; number += 1) {
    const stream = streamOf(number);
    const command = commandId(randomUUID());
    const result = await store.events.append({
      command: {
        id: command,
        digest: 'bench',
        answer: { kind: 'accepted', streamId: stream.streamId, version: version(eventsEach) },
      },
      provenance: provenanceOf(command),
      occurredAt: timestampFromMs(Date.now()),
      streams: [stream],
      settles: null,
    });
    assert(result.kind === 'appended', `a new stream meets no ${result.kind}`);
  }
};

const streamOf = (number: number): StreamAppend => ({
  streamId: boxStream(boxId(`bx_${String(number).padStart(16, '0')}`)),
  expectedVersion: noVersion,
  previousHash: '',
  events: eventsOf(),
  snapshot: {},
  fingerprint: 'bench',
  effects: [],
  cancels: [],
  row: null,
});

const placement = { hostId: hostId('hs_0000000000000000'), epoch: 1 };
const life: readonly BoxEvent[] = [
  { type: 'box.startRequested', data: { placement, generation: 1, timeoutMs: 90_000 } },
  { type: 'box.healthChanged', data: { health: 'healthy' } },
  { type: 'box.stopRequested', data: { timeoutMs: 10_000, thenRemove: false } },
  { type: 'box.healthChanged', data: { health: 'unhealthy' } },
];

const eventsOf = (): readonly [BoxEvent, ...BoxEvent[]] => {
  const [first, ...rest] = Array.from({ length: eventsEach / life.length }, () => life).flat();
  assert(first !== undefined, 'a life has events');
  return [first, ...rest];
};
