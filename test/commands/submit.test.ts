import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer, CommandMeta } from '../../src/commands/door.ts';
import { Door } from '../../src/commands/submit.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import type { EffectIntent } from '../../src/events/effects.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { type BoxId, boxStream, commandId, noVersion, version } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { meta } from '../support/plane.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

/** A door as a process of its own would have it: nothing kept in memory yet. */
const freshDoor = (onEffects: (effects: readonly EffectIntent[]) => void = () => undefined) =>
  new Door({
    store: store.events,
    log: store.log,
    clock: systemClock,
    ids: randomIds,
    onEffects,
    crash: noCrash,
    keepStates: 100,
  });

const placement = { hostId: randomIds.hostId(), epoch: 1 };
const options = boxOptionsSchema.parse({});
const createCommand = (name: string, boxId = randomIds.boxId()) =>
  ({ type: 'box.create', boxId, name, options }) as const;
const startOf = (boxId: BoxId) => ({ type: 'box.start', boxId, placement }) as const;
const stopOf = (boxId: BoxId) => ({ type: 'box.stop', boxId }) as const;
const under = (id: string): CommandMeta => ({ ...meta, commandId: commandId(id) });

const createdBox = async (door: Door, name: string): Promise<BoxId> => {
  const command = createCommand(name);
  expect(await door.submit(command, meta)).toMatchObject({ kind: 'accepted', version: 1n });
  return command.boxId;
};

const lengthOf = async (boxId: BoxId) =>
  (await store.log.readStream(boxStream(boxId), noVersion, 100)).length;

const refusal = (answer: Answer) => (answer.kind === 'refused' ? answer.refusal : answer.kind);

test('what is accepted is in the log before the answer, and its effects are told once', async () => {
  const told: EffectIntent[] = [];
  const door = freshDoor((effects) => told.push(...effects));
  const boxId = await createdBox(door, 'accepted');
  const answer = await door.submit(startOf(boxId), { ...meta, reason: 'because' });
  expect(answer).toMatchObject({ kind: 'accepted', version: 2n, view: { state: 'starting' } });
  expect(await store.log.readStream(boxStream(boxId), version(1), 10)).toMatchObject([
    { type: 'box.startRequested', actor: meta.actor, reason: 'because', tenant: meta.tenant },
  ]);
  expect(told.map(({ kind }) => kind)).toEqual(['vm.boot']);
});

test('what is so already is success, and nothing is appended', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'already-so');
  expect(await door.submit(stopOf(boxId), meta)).toMatchObject({
    kind: 'already-so',
    version: 1n,
    events: [],
  });
  expect(await lengthOf(boxId)).toBe(1);
});

test('a repeated command gets its first answer, from another process and when the box has long moved on', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'repeated');
  const first = await door.submit(startOf(boxId), under('repeated-start'));
  await door.submit(stopOf(boxId), meta);
  const again = await freshDoor().submit(
    { ...startOf(boxId), placement: { hostId: randomIds.hostId(), epoch: 7 } },
    under('repeated-start'),
  );
  expect(again).toMatchObject({ kind: 'accepted', version: 2n, view: { state: 'starting' }, events: [] });
  expect(first).toMatchObject({ kind: again.kind, version: 2n });
  expect(await lengthOf(boxId)).toBe(3);
});

test('a creation that is repeated under its command id makes one box, though its id is minted anew', async () => {
  const first = await freshDoor().submit(createCommand('once'), under('create-once'));
  const again = await freshDoor().submit(createCommand('once'), under('create-once'));
  expect(again).toMatchObject({ kind: 'accepted', version: 1n });
  expect(again.kind !== 'refused' && first.kind !== 'refused' && again.streamId === first.streamId).toBe(
    true,
  );
});

test('an answer "already so" is kept too: the repetition does not act on what has changed since', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'kept-already-so');
  expect(await door.submit(stopOf(boxId), under('idle-stop'))).toMatchObject({ kind: 'already-so' });
  await door.submit(startOf(boxId), meta);
  expect(await freshDoor().submit(stopOf(boxId), under('idle-stop'))).toMatchObject({
    kind: 'already-so',
    version: 1n,
  });
  expect(await lengthOf(boxId)).toBe(2);
});

test('a refusal is not kept: the same command may be accepted once the box allows it', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'refused-first');
  const pause = { type: 'box.pause', boxId } as const;
  expect(refusal(await door.submit(pause, under('try-pause')))).toMatchObject({ code: 'InvalidState' });
  expect(await lengthOf(boxId)).toBe(1);
  expect(refusal(await door.submit(pause, under('try-pause')))).toMatchObject({ code: 'InvalidState' });
});

test('a command id that was used for something else is a conflict', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'reused');
  await door.submit(startOf(boxId), under('used'));
  expect(refusal(await door.submit(stopOf(boxId), under('used')))).toMatchObject({
    code: 'Conflict',
    details: { commandId: 'used' },
  });
  expect(await lengthOf(boxId)).toBe(2);
});

test('an expected version that is not the present one is a conflict that says both', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'expected');
  await door.submit(startOf(boxId), { ...meta, expectedVersion: version(1) });
  expect(refusal(await door.submit(stopOf(boxId), { ...meta, expectedVersion: version(1) }))).toMatchObject({
    code: 'Conflict',
    details: { expectedVersion: 1, actualVersion: 2 },
  });
});

test('a name that a box has is refused, and free again for whoever asks after its removal', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'unique');
  expect(refusal(await door.submit(createCommand('unique'), meta))).toMatchObject({ code: 'AlreadyExists' });
  await door.submit({ type: 'box.remove', boxId, force: false }, meta);
  await createdBox(door, 'unique');
});

test('a door whose kept state is behind finds out before it refuses, confirms or appends', async () => {
  const behind = freshDoor();
  const boxId = await createdBox(behind, 'behind');
  await freshDoor().submit(startOf(boxId), meta);
  const pauseOfConfigured = await behind.submit({ type: 'box.pause', boxId }, meta);
  expect(refusal(pauseOfConfigured)).toMatchObject({ details: { state: 'starting' } });

  const other = await createdBox(behind, 'behind-too');
  await freshDoor().submit(startOf(other), meta);
  expect(await behind.submit(startOf(other), meta)).toMatchObject({ kind: 'already-so', version: 2n });
  expect(await behind.submit(stopOf(other), meta)).toMatchObject({ kind: 'accepted', version: 3n });
});

test('of commands that race for one box, each is decided on what the ones before it left', async () => {
  const doors = Array.from({ length: 4 }, () => freshDoor());
  const [first] = doors;
  if (first === undefined) throw new Error('no door');
  const boxId = await createdBox(first, 'raced');
  const answers = await Promise.all(doors.map((door) => door.submit(startOf(boxId), meta)));
  expect(answers.map(({ kind }) => kind).sort()).toEqual([
    'accepted',
    'already-so',
    'already-so',
    'already-so',
  ]);
  expect(await lengthOf(boxId)).toBe(2);
});

test("another tenant's box is not found", async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'foreign');
  const foreign = { ...meta, tenant: 'other' as CommandMeta['tenant'] };
  expect(refusal(await door.submit(startOf(boxId), foreign))).toMatchObject({ code: 'NotFound' });
});

test('an outcome whose claim is not held any more is refused, and nothing is appended', async () => {
  const door = freshDoor();
  const boxId = await createdBox(door, 'claimless');
  const started = await door.submit(startOf(boxId), meta);
  const effect = started.kind !== 'refused' ? started.view?.effect : undefined;
  if (!effect) throw new Error('a start asks for an effect');
  const settle: BoxCommand = {
    type: 'box.settleEffect',
    boxId,
    effectId: effect.effectId,
    generation: 1,
    outcome: {
      kind: 'vm.boot',
      outcome: { status: 'failed', failure: { code: 'Internal', message: 'late' } },
    },
  };
  const settles = { effectId: effect.effectId, attempt: 1 };
  expect(refusal(await door.submit(settle, { ...meta, settles }))).toMatchObject({
    code: 'Conflict',
    details: { stale: true },
  });
  expect(await lengthOf(boxId)).toBe(2);
});
