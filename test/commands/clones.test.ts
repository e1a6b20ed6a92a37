import { afterAll, beforeAll, expect, test } from 'vitest';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import { type BoxId, boxStream, noVersion, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { createPlane, meta, type Plane, someBracket, someCopy } from '../support/plane.ts';

/** New boxes that come with a disk, and new names, through the one door: all or none, and a name is one box's alone. */
let plane: Plane;
beforeAll(async () => {
  plane = await createPlane();
  plane.dispatching = false;
});
afterAll(() => plane.close());

const placement = { hostId: randomIds.hostId(), epoch: 1 };
const options = boxOptionsSchema.parse({ labels: { team: 'red' } });

const settled = async (
  boxId: BoxId,
  outcome: Extract<BoxCommand, { type: 'box.settleEffect' }>['outcome'],
) => {
  const { effect, generation } = await plane.view(boxId);
  if (effect === null) throw new Error('nothing is under way');
  const { effectId } = effect;
  return plane.door.submit({ type: 'box.settleEffect', boxId, effectId, generation, outcome }, meta);
};
const runningBox = async (name: string) => {
  const boxId = randomIds.boxId();
  await plane.submit({ type: 'box.create', boxId, name, options });
  await plane.submit({ type: 'box.start', boxId, placement });
  const process = { pid: 1, startTime: '1', bootId: 'b' };
  const result = { process, stagesMs: {}, tookOver: false };
  await settled(boxId, { kind: 'vm.boot', outcome: { status: 'succeeded', result } });
  return boxId;
};
const cloning = async (boxId: BoxId, names: readonly string[]) => {
  const clones = names.map((name) => ({ boxId: randomIds.boxId(), name }));
  await plane.submit({ type: 'box.clone', boxId, clones, consistency: 'best-effort' });
  return clones;
};
const cloned = {
  kind: 'disk.clone',
  outcome: { status: 'succeeded', result: { bracket: someBracket, ...someCopy } },
} as const;
const lengthOf = async (boxId: BoxId) =>
  (await plane.store.log.readStream(boxStream(boxId), noVersion, 10)).length;

test('clones begin in the append in which their parent says that they were made, and name that event', async () => {
  const parent = await runningBox('parent');
  const clones = await cloning(parent, ['child-1', 'child-2']);
  for (const { boxId } of clones) expect(await lengthOf(boxId)).toBe(0);
  const answer = await settled(parent, cloned);
  if (answer.kind !== 'accepted') throw new Error(answer.kind);
  expect(answer.events.map(({ type }) => type)).toEqual(['box.cloned', 'box.created', 'box.created']);
  const version = Number(answer.version);
  for (const { boxId, name } of clones) {
    const origin = { kind: 'clone', boxId: parent, version };
    expect(await plane.view(boxId)).toMatchObject({ state: 'stopped', name, options, placement, origin });
    expect(await plane.submit({ type: 'box.start', boxId, placement })).toMatchObject({ generation: 1 });
  }
});

test('a name that was taken while the disks were copied fails the clone: nothing of any of them is in the log', async () => {
  const parent = await runningBox('late-parent');
  const clones = await cloning(parent, ['free-name', 'late-name']);
  await plane.submit({ type: 'box.create', boxId: randomIds.boxId(), name: 'late-name', options });
  const answer = await settled(parent, cloned);
  expect(answer).toMatchObject({
    kind: 'accepted',
    events: [{ type: 'box.cloneFailed', data: { clones, failure: { code: 'AlreadyExists' } } }],
    view: { state: 'running', operation: null, effect: null },
  });
  for (const { boxId } of clones) expect(await lengthOf(boxId)).toBe(0);
  // The free one is free still.
  await plane.submit({ type: 'box.create', boxId: randomIds.boxId(), name: 'free-name', options });
});

test('a clone that failed leaves its names to others', async () => {
  const parent = await runningBox('failing-parent');
  await cloning(parent, ['never-made']);
  const failure = { code: 'ResourceExhausted', message: 'the disk is full' } as const;
  await settled(parent, { kind: 'disk.clone', outcome: { status: 'failed', failure } });
  await plane.submit({ type: 'box.create', boxId: randomIds.boxId(), name: 'never-made', options });
});

test.each(['rename', 'import'] as const)('a name that another box has is refused to a %s', async (kind) => {
  const [taken, own] = [`taken-by-${kind}`, `own-of-${kind}`];
  await plane.submit({ type: 'box.create', boxId: randomIds.boxId(), name: taken, options });
  const boxId = randomIds.boxId();
  const archive = { sha256: 'ab'.repeat(32), sizeBytes: 1 };
  const imports = { type: 'box.import', boxId, options, placement, archive } as const;
  if (kind === 'rename') await plane.submit({ type: 'box.create', boxId, name: own, options });
  const named = (name: string): BoxCommand =>
    kind === 'rename' ? { type: 'box.rename', boxId, name } : { ...imports, name };
  const refusal = { code: 'AlreadyExists', message: expect.stringContaining(taken) };
  expect(await plane.door.submit(named(taken), meta)).toMatchObject({ kind: 'refused', refusal });
  expect(await plane.submit(named(`free-for-${kind}`))).toMatchObject({ name: `free-for-${kind}` });
});

test('a name that was given up by a rename is free at once', async () => {
  const boxId = randomIds.boxId();
  await plane.submit({ type: 'box.create', boxId, name: 'given-up', options });
  await plane.submit({ type: 'box.rename', boxId, name: 'new-name' });
  await plane.submit({ type: 'box.create', boxId: randomIds.boxId(), name: 'given-up', options });
});

test('a snapshot name may be that of a snapshot of another box', async () => {
  const ids = ['sn_0000000000000001', 'sn_0000000000000002'].map(snapshotId);
  for (const id of ids) {
    const boxId = await runningBox(`with-${id.slice(-1)}`);
    const asked = { type: 'box.snapshot', boxId, snapshotId: id, name: 'same' } as const;
    await plane.submit({ ...asked, consistency: 'best-effort' });
  }
});
