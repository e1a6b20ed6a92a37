import { expect, test } from 'vitest';
import type { BullmqEffectQueue } from '../../src/effects/bullmq-queue.ts';
import type { DeliveryAnswer, DeliveryLoop } from '../../src/effects/effect-queue.ts';
import { boxId, type EffectId, effectIdFor, type HostId, hostId, version } from '../../src/kernel/ids.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';

export interface QueueUnderTest {
  readonly queue: BullmqEffectQueue;
  /** Adds a job that is not an effect's id. */
  addMalformed(hostId: HostId): Promise<void>;
  /** Another process with a queue of its own that takes the host's next delivery, says so, and is killed in it. */
  dieInDelivery(hostId: HostId): Promise<void>;
}

const done: DeliveryAnswer = { kind: 'done' };
let last = 0;
const nextId = (prefix: string) => `${prefix}${String(++last).padStart(16, '0')}`;
const newHost = () => hostId(nextId('hs_'));
const newEffect = () => effectIdFor(boxId(nextId('bx_')), version(1), 'vm.boot');

/** What every effect queue does, whatever carries it. `subject` is asked for once a test. */
export const effectQueueContract = (subject: () => QueueUnderTest) => {
  const consuming = async (
    host: HostId,
    deliver: (effectId: EffectId) => Promise<DeliveryAnswer> | DeliveryAnswer,
    concurrency = 4,
  ): Promise<{ seen: EffectId[]; loop: DeliveryLoop }> => {
    const seen: EffectId[] = [];
    const loop = await subject().queue.consume(host, concurrency, async (effectId) => {
      seen.push(effectId);
      return deliver(effectId);
    });
    return { seen, loop };
  };
  const due = (host: HostId, effectId: EffectId, delayMs = 0) => ({ effectId, hostId: host, delayMs });
  const emptied = (host: HostId) =>
    eventually('the queue is empty', async () => (await subject().queue.depth(host)) === 0);

  test('an effect arrives at its host and at no other, and nothing is kept of it', async () => {
    const [here, there, mine, theirs] = [newHost(), newHost(), newEffect(), newEffect()];
    const first = await consuming(here, () => done);
    const second = await consuming(there, () => done);
    await subject().queue.enqueue([due(here, mine), due(there, theirs)]);
    await eventually('both effects arrive', () => first.seen.length + second.seen.length === 2);
    expect(first.seen).toEqual([mine]);
    expect(second.seen).toEqual([theirs]);
    await emptied(here);
    await first.loop.close(1_000);
    await second.loop.close(1_000);
  });

  test('effects that were enqueued before anybody consumed are delivered', async () => {
    const [host, effects] = [newHost(), Array.from({ length: 50 }, newEffect)];
    await subject().queue.enqueue(effects.map((effectId) => due(host, effectId)));
    const { seen, loop } = await consuming(host, () => done);
    await eventually('50 deliveries', () => seen.length === 50);
    expect(new Set(seen)).toEqual(new Set(effects));
    await loop.close(1_000);
  });

  test('adding what is already there changes nothing', async () => {
    const [host, twice, after] = [newHost(), newEffect(), newEffect()];
    await subject().queue.enqueue([due(host, twice), due(host, twice)]);
    await subject().queue.enqueue([due(host, twice)]);
    expect(await subject().queue.depth(host)).toBe(1);
    const { seen, loop } = await consuming(host, () => done, 1);
    await eventually('the effect arrives', () => seen.includes(twice));
    await subject().queue.enqueue([due(host, after)]);
    await eventually('the effect arrives', () => seen.includes(after));
    expect(seen).toEqual([twice, after]);
    await loop.close(1_000);
  });

  test('an effect that was done is delivered again when it is added again', async () => {
    const [host, effectId] = [newHost(), newEffect()];
    const { seen, loop } = await consuming(host, () => done);
    for (const times of [1, 2, 3]) {
      await subject().queue.enqueue([due(host, effectId)]);
      await eventually('it arrives again', () => seen.length === times);
      await emptied(host);
    }
    await loop.close(1_000);
  });

  test('a delayed effect does not arrive before its time', async () => {
    const [host, effectId] = [newHost(), newEffect()];
    const { seen, loop } = await consuming(host, () => done);
    const added = performance.now();
    await subject().queue.enqueue([due(host, effectId, 400)]);
    await eventually('the effect arrives', () => seen.length === 1);
    // The carrier's clock may differ from ours by a rounding.
    expect(performance.now() - added).toBeGreaterThan(390);
    await loop.close(1_000);
  });

  test('an effect answered with "later" arrives again after that time', async () => {
    const [host, effectId] = [newHost(), newEffect()];
    const at: number[] = [];
    const { loop } = await consuming(host, () => {
      at.push(performance.now());
      return at.length < 3 ? { kind: 'later', delayMs: 200 } : done;
    });
    await subject().queue.enqueue([due(host, effectId)]);
    await eventually('3 deliveries', () => at.length === 3);
    expect((at[2] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(380);
    await emptied(host);
    await loop.close(1_000);
  });

  test('no more than the given number of deliveries run at once', async () => {
    const [host, open] = [newHost(), gate()];
    let running = 0;
    let most = 0;
    const { seen, loop } = await consuming(
      host,
      async () => {
        most = Math.max(most, ++running);
        await open.passed;
        running -= 1;
        return done;
      },
      3,
    );
    await subject().queue.enqueue(Array.from({ length: 9 }, () => due(host, newEffect())));
    await eventually('as many deliveries as may', () => running === 3);
    open.open();
    await eventually('9 deliveries', () => seen.length === 9);
    expect(most).toBe(3);
    await loop.close(5_000);
  });

  test('a delivery that throws does not stop the queue', async () => {
    const [host, bad, good] = [newHost(), newEffect(), newEffect()];
    const { seen, loop } = await consuming(
      host,
      (effectId) => (effectId === bad ? Promise.reject(new Error('a fault of ours')) : done),
      1,
    );
    await subject().queue.enqueue([due(host, bad)]);
    await subject().queue.enqueue([due(host, good)]);
    await eventually('the effect arrives', () => seen.includes(good));
    await emptied(host);
    await loop.close(1_000);
  });

  test('a malformed job is dropped and does not stop the queue', async () => {
    const [host, good] = [newHost(), newEffect()];
    await subject().addMalformed(host);
    await subject().queue.enqueue([due(host, good)]);
    const { seen, loop } = await consuming(host, () => done, 1);
    await eventually('the effect arrives', () => seen.includes(good));
    await emptied(host);
    expect(seen).toEqual([good]);
    await loop.close(1_000);
  });

  test('close waits for the deliveries under way and takes no more', async () => {
    const [host, first, second, open] = [newHost(), newEffect(), newEffect(), gate()];
    let finished = false;
    const { seen, loop } = await consuming(
      host,
      async () => {
        await open.passed;
        finished = true;
        return done;
      },
      1,
    );
    await subject().queue.enqueue([due(host, first)]);
    await eventually('the effect arrives', () => seen.length === 1);
    const closing = loop.close(60_000);
    await subject().queue.enqueue([due(host, second)]);
    open.open();
    await closing;
    expect(finished).toBe(true);
    expect(seen).toEqual([first]);
    const next = await consuming(host, () => done);
    await eventually('the effect arrives', () => next.seen.includes(second));
    expect(next.seen).toEqual([second]);
    await next.loop.close(1_000);
  });

  test('a delivery that outlasts the close is cut short and comes again', async () => {
    const [host, effectId, open] = [newHost(), newEffect(), gate()];
    const { seen, loop } = await consuming(host, async () => {
      await open.passed;
      return done;
    });
    await subject().queue.enqueue([due(host, effectId)]);
    await eventually('the effect arrives', () => seen.length === 1);
    await loop.close(50);
    const next = await consuming(host, () => done);
    await eventually('the effect arrives', () => next.seen.length === 1);
    open.open();
    await next.loop.close(1_000);
  });

  test('what a delivery loop held that died in mid-delivery comes again to the next, at once', async () => {
    const [host, held, waiting, delayed] = [newHost(), newEffect(), newEffect(), newEffect()];
    await subject().queue.enqueue([due(host, held)]);
    await subject().dieInDelivery(host);
    await subject().queue.enqueue([due(host, held), due(host, waiting), due(host, delayed, 500)]);
    const { seen, loop } = await consuming(host, () => done);
    await eventually('3 deliveries', () => seen.length >= 3);
    expect(new Set(seen)).toEqual(new Set([held, waiting, delayed]));
    await emptied(host);
    await loop.close(1_000);
  });

  test('what a delivery loop held that died beside another comes to the other when its lock has run out', async () => {
    const [host, effects, open] = [newHost(), Array.from({ length: 3 }, newEffect), gate()];
    const { seen, loop } = await consuming(
      host,
      async () => {
        await open.passed;
        return done;
      },
      1,
    );
    await subject().queue.enqueue(effects.map((effectId) => due(host, effectId)));
    await subject().dieInDelivery(host);
    open.open();
    await eventually('every effect arrives', () => new Set(seen).size === effects.length);
    await emptied(host);
    await loop.close(1_000);
  });
};
