import { afterAll, beforeAll, expect, test } from 'vitest';
import { boxStream, type EffectId, effectId } from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import {
  appendRequest,
  boxAppend,
  type IntentOptions,
  someBoxId,
  someHostId,
  someIntent,
} from '../support/append-request.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const minuteMs = 60_000;
const inMs = (ms: number) => timestampFromMs(Date.now() + ms);

/** A box with one effect on a host of its own, and the means to go on with its stream. */
const boxWithEffect = async (options: IntentOptions = {}) => {
  const [box, host] = [someBoxId(), someHostId()];
  const intent = someIntent(box, host, options);
  const result = await store.events.append(appendRequest([boxAppend({ box, effects: [intent] })]));
  if (result.kind !== 'appended' || result.streams[0] === undefined) throw new Error(result.kind);
  return {
    box,
    host,
    intent,
    effectId: intent.effectId,
    after: result.streams[0],
    holder: { hostId: host, epoch: 1 },
  };
};
type BoxWithEffect = Awaited<ReturnType<typeof boxWithEffect>>;

const outcome = ({ box, after, effectId }: BoxWithEffect, attempt: number) =>
  store.events.append(appendRequest([boxAppend({ box, after })], { settles: { effectId, attempt } }));

const endLease = (id: EffectId) =>
  store.pool.query(
    `UPDATE boxledger.effects SET lease_until = now() - interval '1 second' WHERE effect_id = $1`,
    [id],
  );
const stateOf = async (id: EffectId) =>
  (await store.pool.query('SELECT state FROM boxledger.effects WHERE effect_id = $1', [id])).rows[0]?.state;

test('an effect commits with its event and is claimed with all that was asked for', async () => {
  const { effectId, intent, holder } = await boxWithEffect();
  expect(await store.outbox.claim(effectId, holder, minuteMs)).toMatchObject({
    kind: 'claimed',
    effect: { effectId, attempt: 1, intent },
  });
});

test('an effect that somebody holds is not claimed by another', async () => {
  const { effectId, holder } = await boxWithEffect();
  const claims = await Promise.all(
    Array.from({ length: 8 }, () => store.outbox.claim(effectId, holder, minuteMs)),
  );
  expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
  const held = claims.filter((claim) => claim.kind === 'held');
  expect(held).toHaveLength(7);
  for (const { retryAfterMs } of held) expect(retryAfterMs).toBeGreaterThan(minuteMs / 2);
});

test('an outcome settles the effect, once', async () => {
  const effect = await boxWithEffect();
  await store.outbox.claim(effect.effectId, effect.holder, minuteMs);
  expect((await outcome(effect, 1)).kind).toBe('appended');
  expect(await stateOf(effect.effectId)).toBe('settled');
  expect(await store.outbox.claim(effect.effectId, effect.holder, minuteMs)).toEqual({ kind: 'over' });
  const head = await store.events.load(boxStream(effect.box));
  if (head === undefined) throw new Error('no head');
  expect((await outcome({ ...effect, after: { ...effect.after, ...head } }, 1)).kind).toBe('claim-lost');
});

test('an outcome without a claim is refused and leaves nothing behind', async () => {
  const effect = await boxWithEffect();
  expect(await outcome(effect, 1)).toEqual({ kind: 'claim-lost' });
  expect(await stateOf(effect.effectId)).toBe('pending');
  expect((await store.events.load(boxStream(effect.box)))?.version).toBe(1n);
});

test('after its lease an effect goes to another, and the late outcome of the first is refused', async () => {
  const effect = await boxWithEffect();
  await store.outbox.claim(effect.effectId, effect.holder, minuteMs);
  await endLease(effect.effectId);
  const again = await store.outbox.claim(effect.effectId, effect.holder, minuteMs);
  expect(again).toMatchObject({ kind: 'claimed', effect: { attempt: 2 } });
  expect(await store.outbox.renew({ effectId: effect.effectId, attempt: 1 }, minuteMs)).toBe(false);
  expect(await store.outbox.release({ effectId: effect.effectId, attempt: 1 }, 0, {})).toBe(false);
  expect(await outcome(effect, 1)).toEqual({ kind: 'claim-lost' });
  expect((await outcome(effect, 2)).kind).toBe('appended');
});

test('a renewed lease holds', async () => {
  const { effectId, holder } = await boxWithEffect();
  await store.outbox.claim(effectId, holder, minuteMs);
  await endLease(effectId);
  expect(await store.outbox.renew({ effectId, attempt: 1 }, minuteMs)).toBe(true);
  expect((await store.outbox.claim(effectId, holder, minuteMs)).kind).toBe('held');
});

test('an effect is not claimed before its time', async () => {
  const { effectId, holder } = await boxWithEffect({ notBefore: inMs(minuteMs) });
  const claim = await store.outbox.claim(effectId, holder, minuteMs);
  expect(claim.kind).toBe('early');
});

test('an effect that was handed back is due again after its delay', async () => {
  const { effectId, holder } = await boxWithEffect();
  await store.outbox.claim(effectId, holder, minuteMs);
  expect(await store.outbox.release({ effectId, attempt: 1 }, minuteMs, { code: 'Unavailable' })).toBe(true);
  expect((await store.outbox.claim(effectId, holder, minuteMs)).kind).toBe('early');
  await store.pool.query('UPDATE boxledger.effects SET due_at = now() WHERE effect_id = $1', [effectId]);
  expect(await store.outbox.claim(effectId, holder, minuteMs)).toMatchObject({ effect: { attempt: 2 } });
});

test('only the host that an effect was placed on may claim it, in no earlier epoch', async () => {
  const { effectId, host } = await boxWithEffect({ epoch: 3 });
  const claim = (hostId: typeof host, epoch: number) =>
    store.outbox.claim(effectId, { hostId, epoch }, minuteMs);
  expect(await claim(someHostId(), 3)).toEqual({ kind: 'over' });
  expect(await claim(host, 2)).toEqual({ kind: 'over' });
  expect((await claim(host, 4)).kind).toBe('claimed');
});

test('a cancelled effect is over, and its outcome is refused', async () => {
  const effect = await boxWithEffect();
  await store.outbox.claim(effect.effectId, effect.holder, minuteMs);
  const result = await store.events.append(
    appendRequest([boxAppend({ box: effect.box, after: effect.after, cancels: [effect.effectId] })]),
  );
  if (result.kind !== 'appended' || result.streams[0] === undefined) throw new Error(result.kind);
  expect(await stateOf(effect.effectId)).toBe('cancelled');
  expect(await store.outbox.renew({ effectId: effect.effectId, attempt: 1 }, minuteMs)).toBe(false);
  expect(await outcome({ ...effect, after: result.streams[0] }, 1)).toEqual({ kind: 'claim-lost' });
  expect(await store.outbox.claim(effect.effectId, effect.holder, minuteMs)).toEqual({ kind: 'over' });
});

test('an unknown effect is over', async () => {
  const holder = { hostId: someHostId(), epoch: 1 };
  expect(await store.outbox.claim(effectId(`${someBoxId()}-1-vm.boot`), holder, minuteMs)).toEqual({
    kind: 'over',
  });
});

test('what a host held in earlier epochs is handed back and enqueued again', async () => {
  const mine = await boxWithEffect();
  await store.outbox.claim(mine.effectId, mine.holder, minuteMs);
  expect(await store.outbox.releaseEarlierEpochs(mine.host, 1)).toEqual([]);
  expect(await store.outbox.releaseEarlierEpochs(mine.host, 2)).toEqual([mine.effectId]);
  const due = await store.outbox.takeUnqueued(minuteMs, 100);
  expect(due.map(({ effectId }) => effectId)).toContain(mine.effectId);
  expect((await store.outbox.claim(mine.effectId, { hostId: mine.host, epoch: 2 }, minuteMs)).kind).toBe(
    'claimed',
  );
});

test('effects are taken for the queue when they were enqueued long ago, unless somebody holds them', async () => {
  const idle = await boxWithEffect();
  const later = await boxWithEffect({ notBefore: inMs(minuteMs) });
  const held = await boxWithEffect();
  await store.outbox.claim(held.effectId, held.holder, minuteMs);
  const enqueuedLongAgo = (ids: readonly string[]) =>
    store.pool.query(
      `UPDATE boxledger.effects SET last_enqueued_at = now() - interval '2 minutes' WHERE effect_id = ANY ($1)`,
      [ids],
    );
  await enqueuedLongAgo([idle.effectId, later.effectId, held.effectId]);
  const first = await store.outbox.takeUnqueued(minuteMs, 100);
  const taken = new Map(first.map((due) => [due.effectId, due]));
  expect(taken.get(idle.effectId)).toEqual({ effectId: idle.effectId, hostId: idle.host, delayMs: 0 });
  expect(taken.get(later.effectId)?.delayMs).toBeGreaterThan(minuteMs / 2);
  expect(taken.has(held.effectId)).toBe(false);
  expect(await store.outbox.takeUnqueued(minuteMs, 100)).toEqual([]);
  await endLease(held.effectId);
  expect((await store.outbox.takeUnqueued(minuteMs, 100)).map(({ effectId }) => effectId)).toEqual([
    held.effectId,
  ]);
  await enqueuedLongAgo([idle.effectId]);
  expect((await store.outbox.takeUnqueued(minuteMs, 100)).map(({ effectId }) => effectId)).toEqual([
    idle.effectId,
  ]);
});

test('what has just been asked for is not taken yet: whoever asked enqueues it', async () => {
  const { effectId } = await boxWithEffect();
  const due = await store.outbox.takeUnqueued(minuteMs, 100);
  expect(due.map((effect) => effect.effectId)).not.toContain(effectId);
});

test('an overdue effect is taken from its holder once, and only the taker can settle it', async () => {
  const effect = await boxWithEffect({ deadline: inMs(-1_000) });
  await store.outbox.claim(effect.effectId, effect.holder, minuteMs);
  const overdue = await store.outbox.takeOverdue(100, minuteMs);
  expect(overdue).toMatchObject([
    { effectId: effect.effectId, attempt: 2, boxId: effect.box, generation: 1, kind: 'disk.remove' },
  ]);
  expect(await store.outbox.takeOverdue(100, minuteMs)).toEqual([]);
  expect(await outcome(effect, 1)).toEqual({ kind: 'claim-lost' });
  await endLease(effect.effectId);
  expect(await store.outbox.takeOverdue(100, minuteMs)).toMatchObject([{ attempt: 3 }]);
  expect((await outcome(effect, 3)).kind).toBe('appended');
  expect(await store.outbox.takeOverdue(100, minuteMs)).toEqual([]);
});

test('effects that are not over are counted by kind and state, with how long the first has waited', async () => {
  const count = async (state: string) => {
    const rows = await store.outbox.backlog();
    return rows.find((row) => row.kind === intent.kind && row.state === state);
  };
  const { effectId, holder, intent } = await boxWithEffect();
  const [pending, claimed] = [await count('pending'), await count('claimed')];
  await store.pool.query(
    `UPDATE boxledger.effects SET due_at = now() - interval '1 hour' WHERE effect_id = $1`,
    [effectId],
  );
  const waiting = await count('pending');
  expect(waiting?.effects).toBe(pending?.effects);
  expect(waiting?.waitingMs).toBeGreaterThanOrEqual(60 * minuteMs);
  await store.outbox.claim(effectId, holder, minuteMs);
  expect((await count('claimed'))?.effects).toBe((claimed?.effects ?? 0) + 1);
  expect((await count('pending'))?.effects ?? 0).toBe((pending?.effects ?? 0) - 1);
});
