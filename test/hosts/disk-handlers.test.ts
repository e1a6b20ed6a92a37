import { describe, expect, test } from 'vitest';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { EffectArgs, EffectKind } from '../../src/events/effects.ts';
import { type BoxId, exportId, snapshotId } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { gate } from '../support/gate.ts';
import { internal, oneBox } from '../support/one-box.ts';
import { never, unavailable } from '../support/scripted-guest.ts';

type OneBox = ReturnType<typeof oneBox>;
const taken = snapshotId('sn_0000000000000001');
const out = exportId('xp_0000000000000001');
const open = new AbortController().signal;

/** A box that runs; its past is forgotten. */
const running = async (...[script, faults]: Parameters<typeof oneBox>) => {
  const it = oneBox(script, faults);
  const { process } = await it.boot();
  it.world.set(it.boxId, { disk: { file: 'before' } });
  it.done.length = 0;
  it.guest.asked.length = 0;
  const quiesce = (consistency: 'best-effort' | 'required' = 'best-effort') =>
    ({ kind: 'quiesce', process, consistency }) as const;
  return { ...it, process, quiesce };
};
const clonesOf = (count: number) =>
  Array.from({ length: count }, (_, n) => ({ boxId: randomIds.boxId(), name: `clone-${n}` }));
const diskOf = ({ world }: OneBox, boxId: BoxId) => world.get(boxId).disk;
const snapshotsOf = ({ world, boxId }: OneBox) => Object.keys(world.get(boxId).snapshots);
const stateOf = ({ world, boxId }: OneBox) => world.get(boxId).state;

describe('the quiesce bracket', () => {
  test('freezes, pauses, copies, resumes and thaws, and says what came of it', async () => {
    const it = await running();
    const { bracket } = await it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() });
    expect(it.guest.asked).toEqual(['quiesce', 'thaw']);
    expect(it.done).toEqual(['freeze', 'snapshotDisk', 'unfreeze']);
    expect(bracket).toMatchObject({ consistency: 'file-system' });
    expect(bracket).not.toHaveProperty('freezeFailure');
    expect(snapshotsOf(it)).toEqual([taken]);
  });

  test('goes on without frozen file systems where that is enough, and says why they were not', async () => {
    const it = await running({ quiesce: async () => ({ frozen: false, detail: 'no such call here' }) });
    const { bracket } = await it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() });
    expect(bracket).toMatchObject({
      consistency: 'crash',
      freezeFailure: { code: 'Unsupported', message: 'no such call here' },
    });
  });

  test('is an error without frozen file systems where they are required: the box was never paused', async () => {
    const it = await running({ quiesce: never });
    const asked = it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce('required') });
    await expect(asked).rejects.toMatchObject({ code: 'Unsupported' });
    expect(it.done).toEqual(['unfreeze']);
    expect(it.guest.asked).toEqual(['quiesce', 'thaw']);
    expect(snapshotsOf(it)).toEqual([]);
  });

  test('says so when the guest could not be thawed: the box runs all the same', async () => {
    const thaws = [unavailable()];
    const it = await running({
      thaw: async () => {
        const error = thaws.pop();
        if (error !== undefined) throw error;
      },
    });
    const { bracket } = await it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() });
    expect(bracket).toMatchObject({ consistency: 'file-system', thawFailure: { code: 'Unavailable' } });
    expect(stateOf(it)).toBe('running');
  });

  test.each(['freeze', 'snapshotDisk'] as const)(
    'that fails at %s leaves the box running and thawed',
    async (step) => {
      const it = await running({}, { [step]: internal('it does not work') });
      const asked = it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() });
      await expect(asked).rejects.toMatchObject({ message: 'it does not work' });
      expect(stateOf(it)).toBe('running');
      expect(it.guest.asked).toEqual(['quiesce', 'thaw']);
    },
  );

  test('that is broken off in the midst of the copy leaves the box running and thawed', async () => {
    const it = await running();
    const [copying, abort] = [gate(), new AbortController()];
    it.driver.snapshotDisk = async (_box, _snapshot, { signal }) => {
      expect(stateOf(it)).toBe('frozen');
      copying.open();
      return never(signal);
    };
    const asked = it.carryOut(
      'disk.snapshot',
      { snapshotId: taken, plan: it.quiesce() },
      { signal: abort.signal },
    );
    await copying.passed;
    abort.abort(unavailable());
    await expect(asked).rejects.toMatchObject({ code: 'Unavailable' });
    expect(stateOf(it)).toBe('running');
    expect(it.guest.asked).toEqual(['quiesce', 'thaw']);
  });

  test('is none for a box that is paused or at rest', async () => {
    const it = await running();
    await it.driver.freeze(it.boxId, it.process);
    const plan = { kind: 'held', consistency: 'crash' } as const;
    const { bracket } = await it.carryOut('disk.snapshot', { snapshotId: taken, plan });
    expect(bracket).toEqual({ consistency: 'crash', freezeMs: 0, pausedMs: 0, thawMs: 0 });
    expect(stateOf(it)).toBe('frozen');
    expect(it.guest.asked).toEqual([]);
  });

  test('begins by releasing the box when an attempt died in it, so that its guest can be asked', async () => {
    const it = await running();
    await it.driver.freeze(it.boxId, it.process);
    await it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() }, { attempt: 2 });
    expect(it.done).toEqual(['freeze', 'unfreeze', 'freeze', 'snapshotDisk', 'unfreeze']);
    expect(it.guest.asked).toEqual(['thaw', 'quiesce', 'thaw']);
  });
});

describe('what an attempt that died has left', () => {
  /** The disk as an attempt that died copied it; then the box wrote on. */
  const afterDeath = async (leave: (it: Awaited<ReturnType<typeof running>>) => Promise<unknown>) => {
    const it = await running();
    await leave(it);
    it.world.set(it.boxId, { disk: { file: 'after' } });
    return it;
  };
  const work = { signal: open };

  test('of a snapshot is taken anew, as what its bracket came to is not known', async () => {
    const it = await afterDeath(({ driver, boxId }) => driver.snapshotDisk(boxId, taken, work));
    await it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() }, { attempt: 2 });
    expect(it.world.get(it.boxId).snapshots[taken]).toEqual({ file: 'after' });
  });

  test('of clones is made anew: all of them are as the box was at one moment', async () => {
    const clones = clonesOf(3);
    const it = await running();
    const args = { clones, plan: it.quiesce() };
    const cloneDisk = it.driver.cloneDisk.bind(it.driver);
    it.driver.cloneDisk = async (from, to, clonework) => {
      if (to === clones[1]?.boxId) throw new Error('died');
      return cloneDisk(from, to, clonework);
    };
    // As a kill would have it: nothing is undone.
    const { removeDisk, removeSnapshot } = it.driver;
    Object.assign(it.driver, { removeDisk: async () => undefined, removeSnapshot: async () => undefined });
    await expect(it.carryOut('disk.clone', args)).rejects.toThrow('died');
    Object.assign(it.driver, { removeDisk, removeSnapshot, cloneDisk });
    expect(clones.map(({ boxId }) => diskOf(it, boxId))).toEqual([{ file: 'before' }, null, null]);

    it.world.set(it.boxId, { disk: { file: 'after' } });
    await it.carryOut('disk.clone', args, { attempt: 2 });
    expect(clones.map(({ boxId }) => diskOf(it, boxId))).toEqual(clones.map(() => ({ file: 'after' })));
    expect(snapshotsOf(it)).toEqual([]);
  });

  test('of clones leaves a disk that was in the way of the attempt that died', async () => {
    const it = await running();
    const clones = clonesOf(2);
    const inTheWay = clones[1]?.boxId ?? it.boxId;
    it.world.set(inTheWay, { disk: { file: 'of somebody' } });
    const asked = it.carryOut('disk.clone', { clones, plan: it.quiesce() }, { attempt: 2 });
    await expect(asked).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(clones.map(({ boxId }) => diskOf(it, boxId))).toEqual([null, { file: 'of somebody' }]);
  });

  test('of an export is written anew', async () => {
    const it = await running();
    const args = exportArgs(it.quiesce());
    const first = await it.carryOut('disk.export', args);
    it.world.set(it.boxId, { disk: { file: 'quite another' } });
    const second = await it.carryOut('disk.export', args, { attempt: 2 });
    expect(second.sha256).not.toBe(first.sha256);
    expect(await it.driver.listExports()).toEqual([out]);
  });
});

const exportArgs = (plan: EffectArgs<'disk.export'>['plan']): EffectArgs<'disk.export'> => ({
  ...{ exportId: out, name: 'some', plan },
  options: boxOptionsSchema.parse({}),
});

test('a clone that cannot be made takes those with it that could, and the snapshot that they were made of', async () => {
  const it = await running();
  const clones = clonesOf(3);
  const cloneDisk = it.driver.cloneDisk.bind(it.driver);
  it.driver.cloneDisk = async (from, to, work) => {
    if (to === clones[2]?.boxId) throw internal('the disk is full');
    return cloneDisk(from, to, work);
  };
  await expect(it.carryOut('disk.clone', { clones, plan: it.quiesce() })).rejects.toThrow('the disk is full');
  expect(clones.map(({ boxId }) => diskOf(it, boxId))).toEqual([null, null, null]);
  expect(snapshotsOf(it)).toEqual([]);
  expect(stateOf(it)).toBe('running');
});

test('a disk that is in the way of a clone stays as it is', async () => {
  const it = await running();
  const clones = clonesOf(2);
  const inTheWay = clones[1]?.boxId ?? it.boxId;
  it.world.set(inTheWay, { disk: { file: 'of somebody' } });
  const asked = it.carryOut('disk.clone', { clones, plan: it.quiesce() });
  await expect(asked).rejects.toMatchObject({ code: 'AlreadyExists' });
  expect(clones.map(({ boxId }) => diskOf(it, boxId))).toEqual([null, { file: 'of somebody' }]);
});

test('a box is held only while its disk is kept, not while clones or an archive are made of that', async () => {
  const states: Partial<Record<EffectKind, string>> = {};
  const it = await running();
  const [cloneDisk, exportDisk] = [it.driver.cloneDisk.bind(it.driver), it.driver.exportDisk.bind(it.driver)];
  it.driver.cloneDisk = (...args) => {
    states['disk.clone'] = stateOf(it);
    return cloneDisk(...args);
  };
  it.driver.exportDisk = (...args) => {
    states['disk.export'] = stateOf(it);
    return exportDisk(...args);
  };
  await it.carryOut('disk.clone', { clones: clonesOf(1), plan: it.quiesce() });
  await it.carryOut('disk.export', exportArgs(it.quiesce()));
  expect(states).toEqual({ 'disk.clone': 'running', 'disk.export': 'running' });
});

test('a restore puts the disk back and removes nothing that others may come from', async () => {
  const it = await running();
  await it.carryOut('disk.snapshot', { snapshotId: taken, plan: it.quiesce() });
  await it.shutdown();
  it.world.set(it.boxId, { disk: { file: 'after' } });
  await it.carryOut('disk.restore', { snapshotId: taken });
  expect(diskOf(it, it.boxId)).toEqual({ file: 'before' });
  expect(snapshotsOf(it)).toEqual([taken]);
  await it.carryOut('snapshot.remove', { snapshotId: taken });
  await it.carryOut('snapshot.remove', { snapshotId: taken }, { attempt: 2 });
  expect(snapshotsOf(it)).toEqual([]);
});
