import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FleetFilter, Moments } from '../../src/commands/moments.ts';
import { Door } from '../../src/commands/submit.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import { type BoxView, boxStates } from '../../src/events/box-view.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, defaultTenant, type Version, version } from '../../src/kernel/ids.ts';
import { msOf, plusMs, type Timestamp, timestamp } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { command, failed, historyOf, success } from '../machines/box/story.ts';
import { someBoxId } from '../support/append-request.ts';
import { recordBox, SetClock } from '../support/recorded-box.ts';
import { createStore, type TestStore } from '../support/store.ts';

const noon = timestamp('2026-11-25T12:00:00.000Z');
const clock = new SetClock(noon);
const meta = { tenant: defaultTenant, actor: { kind: 'user', id: 'ann' } } as const;
let store: TestStore;
let moments: Moments;
let door: Door;

beforeAll(async () => {
  store = await createStore();
  const { events, log, history } = store;
  moments = new Moments(log, history);
  const none = { crash: noCrash, onEffects: () => undefined };
  door = new Door({ store: events, log, clock, ids: randomIds, keepStates: 100, ...none });
});
afterAll(() => store.close());

const get = async (boxId: BoxId) => {
  const found = await store.boxes.find(defaultTenant, boxId);
  if (found.kind !== 'found') throw new Error(found.kind);
  return found.box;
};

/** What `Get` said after an event, and the time of that event. */
interface Seen {
  readonly boxId: BoxId;
  readonly view: BoxView;
  readonly version: Version;
  readonly at: Timestamp;
}

/** Lets boxes live, and looks at each after each of its events. The clock goes on, stands still and steps back. */
const live = async (boxIds: readonly BoxId[], steps: readonly Step[]): Promise<readonly Seen[]> => {
  const seen: Seen[] = [];
  const submit = async (asking: BoxCommand) => {
    const answer = await door.submit(asking, meta);
    if (answer.kind !== 'accepted') return;
    const { view, version } = await get(asking.boxId);
    const [first] = answer.events;
    if (first === undefined) throw new Error('accepted without an event');
    seen.push({ boxId: asking.boxId, view, version, at: first.occurredAt });
  };
  for (const boxId of boxIds) {
    const labels = { parity: String(boxIds.indexOf(boxId) % 2) };
    await submit({
      type: 'box.create',
      boxId,
      name: `n-${boxId.slice(3)}`,
      options: boxOptionsSchema.parse({ labels }),
    });
    clock.at = plusMs(clock.at, 1);
  }
  for (const { box, what, afterMs } of steps) {
    clock.at = plusMs(clock.at, afterMs);
    const boxId = boxIds[box % boxIds.length] ?? boxIds[0];
    if (boxId === undefined) continue;
    const { effect, generation } = (await get(boxId)).view;
    if (typeof what !== 'boolean') await submit({ ...what, boxId });
    else if (effect !== null) {
      const outcome = what ? success[effect.kind] : failed(effect.kind);
      await submit({ type: 'box.settleEffect', boxId, effectId: effect.effectId, generation, outcome });
    }
  }
  return seen;
};

interface Step {
  readonly box: number;
  readonly what: BoxCommand | boolean;
  readonly afterMs: number;
}
const { create: _, ...lifecycle } = command;
const step: fc.Arbitrary<Step> = fc.record({
  box: fc.nat(2),
  what: fc.oneof(fc.constantFrom<BoxCommand>(...Object.values(lifecycle)), fc.boolean()),
  afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 50 }), fc.integer({ min: -80, max: -1 })),
});

/** By the definition: the last of a box's versions up to which nothing is dated later. */
const asOf = (seen: readonly Seen[], boxId: BoxId, at: Timestamp): Seen | undefined => {
  const ofBox = seen.filter((one) => one.boxId === boxId);
  const later = ofBox.findIndex((one) => one.at > at);
  return later === -1 ? ofBox.at(-1) : ofBox[later - 1];
};

test('a box as of any version or time is what Get said then, also while clocks step back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const boxIds = [someBoxId(), someBoxId(), someBoxId()];
      const seen = await live(boxIds, steps);
      for (const { boxId, view, version: at } of seen) {
        const then = await moments.boxAt(boxId, { kind: 'version', version: at });
        expect(then).toMatchObject({ view, version: at, event: { version: at } });
      }
      const times = [...new Set(seen.flatMap(({ at }) => [at, plusMs(at, -1), plusMs(at, 1)]))];
      for (const at of times)
        for (const boxId of boxIds) {
          const then = await moments.boxAt(boxId, { kind: 'time', at });
          const expected = asOf(seen, boxId, at);
          expect(then && { view: then.view, version: then.version }).toEqual(
            expected && { view: expected.view, version: expected.version },
          );
        }
      const filters: readonly FleetFilter[] = [
        { includeRemoved: true },
        {},
        { states: ['running', 'stopped', 'removed'] },
        { labels: { parity: '1' }, includeRemoved: true },
      ];
      const at = times[times.length >> 1] ?? noon;
      for (const filter of filters) {
        const fleet = (await fleetAt(at, filter)).filter(({ boxId }) => boxIds.includes(boxId));
        const expected = boxIds.flatMap((boxId) => asOf(seen, boxId, at)?.view ?? []);
        expect(fleet).toEqual(expected.filter((view) => fits(view, filter)).sort(byCreation));
      }
    }),
    { numRuns: 12 },
  );
});

const fits = ({ state, options }: BoxView, { states, includeRemoved, labels }: FleetFilter) =>
  (labels === undefined || options.labels['parity'] === labels['parity']) &&
  (states === undefined ? includeRemoved === true || state !== 'removed' : states.includes(state));
const byCreation = (one: BoxView, other: BoxView) =>
  msOf(one.createdAt) - msOf(other.createdAt) || (one.boxId < other.boxId ? -1 : 1);

const fleetAt = async (at: Timestamp, filter: FleetFilter, size = 2): Promise<readonly BoxView[]> => {
  const views: BoxView[] = [];
  for (let token = ''; ; ) {
    const page = await moments.fleetAt(defaultTenant, at, filter, { size, token });
    expect(page.boxes.length).toBeLessThanOrEqual(size);
    views.push(...page.boxes.map(({ view }) => view));
    if (page.nextPageToken === '') return views;
    token = page.nextPageToken;
  }
};

test('a fleet is paged whole: no box twice, none left out, whatever the size of a page', async () => {
  const fleet = await createStore();
  const own = new Moments(fleet.log, fleet.history);
  for (const state of boxStates)
    for (let copy = 0; copy < 10; copy += 1)
      await recordBox(fleet, historyOf[state], { from: msOf(noon) + copy });
  const at = plusMs(noon, 3_600_000);
  for (const size of [1, 7, 119, 120, 1000])
    for (const [filter, count] of [
      [{ includeRemoved: true }, 120],
      [{ states: ['lost'] }, 10],
      [{}, 110],
    ] as const) {
      const ids: string[] = [];
      for (let token = ''; ; ) {
        const page = await own.fleetAt(defaultTenant, at, filter, { size, token });
        ids.push(...page.boxes.map(({ view }) => view.boxId));
        if (page.nextPageToken === '') break;
        token = page.nextPageToken;
      }
      expect(new Set(ids).size).toBe(count);
      expect(ids).toHaveLength(count);
    }
  expect((await own.fleetAt(defaultTenant, plusMs(noon, -1), {}, { size: 9, token: '' })).boxes).toEqual([]);
  await fleet.close();
});

test('there is no box before its first event, and none at a version that is yet to come', async () => {
  const boxId = await recordBox(store, historyOf.running, { from: msOf(noon) });
  expect(await moments.boxAt(boxId, { kind: 'time', at: plusMs(noon, -1) })).toBeUndefined();
  expect(await moments.boxAt(boxId, { kind: 'version', version: version(4) })).toBeUndefined();
  expect(await moments.boxAt(boxId, { kind: 'time', at: plusMs(noon, 1) })).toMatchObject({ version: 1n });
});

test('a long history is read in pages, and a caller that has gone ends the reading', async () => {
  const flips = Array.from({ length: 1_200 }, (_unused, index) => ({
    type: 'box.healthChanged' as const,
    data: { health: index % 2 === 0 ? ('healthy' as const) : ('unhealthy' as const) },
  }));
  const boxId = await recordBox(store, [...historyOf.running, ...flips], { from: msOf(noon) });
  const at = { kind: 'version', version: version(1_101) } as const;
  expect(await moments.boxAt(boxId, at)).toMatchObject({ view: { health: 'unhealthy' }, version: 1101n });
  const then = { kind: 'time', at: plusMs(noon, 900_500) } as const;
  expect(await moments.boxAt(boxId, then)).toMatchObject({ version: 901n });
  const gone = AbortSignal.abort(new Error('the caller went away'));
  await expect(moments.boxAt(boxId, at, gone)).rejects.toThrow('went away');
});
