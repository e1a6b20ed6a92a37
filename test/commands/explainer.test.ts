import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer } from '../../src/commands/door.ts';
import { Explainer, type Explanation } from '../../src/commands/explainer.ts';
import { Door } from '../../src/commands/submit.ts';
import { boxStates } from '../../src/events/box-view.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import type { EffectIntent } from '../../src/events/effects.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, defaultTenant, version } from '../../src/kernel/ids.ts';
import { plusMs, timestamp } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { command, failed, historyOf, reportExit, success } from '../machines/box/story.ts';
import { recordBox, SetClock } from '../support/recorded-box.ts';
import { createStore, type TestStore } from '../support/store.ts';

const clock = new SetClock(timestamp('2026-11-25T13:00:00.000Z'));
const meta = { tenant: defaultTenant, actor: { kind: 'user', id: 'ann' } } as const;
let store: TestStore;
let door: Door;
let explainer: Explainer;
let asked: readonly EffectIntent[] = [];

beforeAll(async () => {
  store = await createStore();
  const { events, log } = store;
  explainer = new Explainer({ store: events, log, clock });
  door = new Door({
    store: events,
    log,
    clock,
    ids: randomIds,
    crash: noCrash,
    keepStates: 100,
    onEffects: (effects) => {
      asked = effects;
    },
  });
});
afterAll(() => store.close());

/** Asks what would be, then asks for it, and compares the two. */
const agree = async (asking: BoxCommand, expectedVersion?: bigint) => {
  const circumstances = {
    ...meta,
    expectedVersion: expectedVersion === undefined ? undefined : version(expectedVersion),
  };
  const explained = await explainer.explain(asking, circumstances);
  asked = [];
  const answer = await door.submit(asking, circumstances);
  expect(inWords(explained)).toEqual(whatCame(answer));
  if (explained.kind !== 'accepted') return explained.kind;
  expect(asked).toEqual(explained.effects);
  const cancelled = await store.history.effects(explained.cancels);
  for (const { state, effectId } of cancelled) expect(state, effectId).toBe('cancelled');
  return explained.kind;
};

const inWords = (explained: Explanation) =>
  explained.kind === 'accepted'
    ? {
        kind: explained.kind,
        events: explained.events.map(({ streamId, version, event }) => ({ streamId, version, ...event })),
        view: explained.events.findLast(({ streamId }) => streamId === explained.events[0]?.streamId)?.view,
      }
    : explained;

const whatCame = (answer: Answer) => {
  if (answer.kind === 'refused') return answer;
  if (answer.kind === 'already-so') return { kind: answer.kind };
  const events = answer.events.map(({ streamId, version, type, data }) => ({
    streamId,
    version,
    type,
    data,
  }));
  return { kind: answer.kind, events, view: answer.view };
};

/** For that box, with names that no other box has: what only the append can find out is not explained. */
const forBox = (asking: BoxCommand, boxId: BoxId): BoxCommand => {
  if (asking.type === 'box.rename') return { ...asking, boxId, name: randomIds.boxId() };
  if (asking.type !== 'box.clone') return { ...asking, boxId };
  const clone = randomIds.boxId();
  return { ...asking, boxId, clones: [{ boxId: clone, name: clone }] };
};
const commands: readonly BoxCommand[] = [...Object.values(command), reportExit(1), reportExit(2)];

test.each(boxStates)(
  'what is explained of a box that is %s is what then happens, for every command',
  async (state) => {
    const answers = new Set<string>();
    for (const asking of commands) {
      const boxId = await recordBox(store, historyOf[state]);
      answers.add(await agree(forBox(asking, boxId)));
    }
    for (const asking of commands) {
      const boxId = await recordBox(store, historyOf[state]);
      expect(await agree(forBox(asking, boxId), 99n)).toBe('refused');
    }
    expect(answers).toContain('refused');
  },
);

test('what is explained is what then happens, along any life', async () => {
  const step = fc.oneof(fc.constantFrom(...commands), fc.boolean());
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...boxStates),
      fc.array(step, { maxLength: 12 }),
      async (state, steps) => {
        const boxId = await recordBox(store, historyOf[state]);
        for (const next of steps) {
          clock.at = plusMs(clock.at, 10);
          const asking = typeof next === 'boolean' ? await settling(boxId, next) : forBox(next, boxId);
          if (asking !== undefined) await agree(asking);
        }
      },
    ),
    { numRuns: 20 },
  );
});

const settling = async (boxId: BoxId, succeeds: boolean): Promise<BoxCommand | undefined> => {
  const found = await store.boxes.find(defaultTenant, boxId);
  if (found.kind !== 'found' || found.box.view.effect === null) return undefined;
  const { effect, generation } = found.box.view;
  const outcome = succeeds ? success[effect.kind] : failed(effect.kind);
  return { type: 'box.settleEffect', boxId, effectId: effect.effectId, generation, outcome };
};

test('explaining writes nothing', async () => {
  const boxId = await recordBox(store, historyOf.running);
  const rows = async () => {
    const tables = ['events', 'heads', 'commands', 'effects', 'boxes', 'execs'];
    const all = tables.map(
      (table) => `SELECT '${table}', to_jsonb(t)::text AS row FROM boxledger.${table} t`,
    );
    return (await store.pool.query(`${all.join(' UNION ALL ')} ORDER BY 1, 2`)).rows;
  };
  const before = await rows();
  for (const asking of commands) await explainer.explain(forBox(asking, boxId), meta);
  expect(await rows()).toEqual(before);
});

test('a box of another tenant is explained as one that does not exist', async () => {
  const boxId = await recordBox(store, historyOf.running);
  const other = { ...meta, tenant: 'other' as typeof meta.tenant };
  expect(await explainer.explain({ type: 'box.stop', boxId }, other)).toMatchObject({
    kind: 'refused',
    refusal: { code: 'NotFound' },
  });
});
