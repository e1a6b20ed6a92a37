import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommandDoor } from '../../src/commands/door.ts';
import type { ExecEnd, Guest } from '../../src/guest/guest.ts';
import { ExecKeeper } from '../../src/hosts/exec-keeper.ts';
import { directoryBoxes } from '../../src/hosts/host-boxes.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import {
  type BoxId,
  defaultTenant,
  type ExecId,
  execStream,
  type HostId,
  noVersion,
} from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { requestExec } from '../support/exec-commands.ts';
import { gate as createGate } from '../support/gate.ts';
import { createPlane, flakyDoor, meta, type Plane, silent } from '../support/plane.ts';
import { never, scriptedGuest, unavailable } from '../support/scripted-guest.ts';

let plane: Plane;
const hostId = randomIds.hostId();
beforeAll(async () => {
  plane = await createPlane();
  await plane.runner(hostId, {}).start();
});
afterAll(() => plane.close());

const away = new BoxledgerError('Unavailable', 'the database is away');
const end: ExecEnd = {
  exit: { kind: 'code', code: 4 },
  timedOut: false,
  durationMs: 1,
  stdoutBytes: 2,
  stderrBytes: 3,
};
const keeperOf = (script: Partial<Guest>, door: CommandDoor = plane.door, of: HostId = hostId) =>
  new ExecKeeper({
    hostId: of,
    guests: { of: () => scriptedGuest(script) },
    boxes: directoryBoxes(plane.store.boxes, defaultTenant),
    door,
    backoff: { firstMs: 5, maxMs: 20, random: () => 1 },
    log: silent,
  });

const runningBox = async (host = hostId) => {
  const boxId = await plane.startingBox(host);
  if (host === hostId) await plane.until(boxId, 'running');
  return boxId;
};
const requested = (boxId: BoxId) => requestExec(plane.door, boxId);
const eventsOf = (execId: ExecId) => plane.store.log.readStream(execStream(execId), noVersion, 10);
const typesOf = async (execId: ExecId) => (await eventsOf(execId)).map(({ type }) => type);

describe('an exec that is kept', () => {
  test('has its start in the log while it runs, and its end once it has ended', async () => {
    const boxId = await runningBox();
    const execId = await requested(boxId);
    const gate = createGate();
    const keeper = keeperOf({
      waitExec: async () => {
        await gate.passed;
        return end;
      },
    });
    keeper.keep({ execId, boxId, generation: 1, meta }, 7);
    await eventually('it has started', async () => (await typesOf(execId)).includes('exec.started'));
    gate.open();
    await keeper.recorded(execId);
    const events = await eventsOf(execId);
    expect(events.map(({ type }) => type)).toEqual(['exec.requested', 'exec.started', 'exec.exited']);
    expect(events[2]?.data).toEqual(end);
  });

  test('has its end recorded once the database is back, however long that takes', async () => {
    const boxId = await runningBox();
    const execId = await requested(boxId);
    const keeper = keeperOf({ waitExec: async () => end }, flakyDoor(plane.door, 9, 'before', away));
    keeper.keep({ execId, boxId, generation: 1, meta }, 7);
    await keeper.recorded(execId);
    expect(await typesOf(execId)).toEqual(['exec.requested', 'exec.started', 'exec.exited']);
  });

  test('is asked for again while its box is up', async () => {
    const boxId = await runningBox();
    const execId = await requested(boxId);
    let failures = 3;
    const keeper = keeperOf({
      waitExec: async () => {
        failures -= 1;
        if (failures >= 0) throw unavailable();
        return end;
      },
    });
    keeper.keep({ execId, boxId, generation: 1, meta }, 7);
    await keeper.recorded(execId);
    expect((await typesOf(execId)).at(-1)).toBe('exec.exited');
  });

  test('is lost when its box has ended without a word', async () => {
    const boxId = await runningBox();
    const execId = await requested(boxId);
    const keeper = keeperOf({
      waitExec: async () => {
        throw unavailable();
      },
    });
    keeper.keep({ execId, boxId, generation: 1, meta }, 7);
    await plane.submit({ type: 'box.stop', boxId });
    await keeper.recorded(execId);
    expect(await typesOf(execId)).toEqual(['exec.requested', 'exec.started', 'exec.lost']);
  });
});

describe('after a restart', () => {
  const notKnown = async () => {
    throw new BoxledgerError('NotFound', 'not known');
  };
  const open = async (host: HostId) =>
    (await plane.store.execs.open(host, '', 500)).map(({ execId }) => execId);

  test('an exec that the agent knows goes on, with the end that it came to meanwhile', async () => {
    const boxId = await runningBox();
    const [running, ended] = [await requested(boxId), await requested(boxId)];
    const gate = createGate();
    const keeper = keeperOf({
      inspectExec: async (execId) => ({ pid: 9, end: execId === ended ? end : undefined }),
      waitExec: async (execId) => {
        if (execId === running) await gate.passed;
        return end;
      },
    });
    expect(await keeper.recover(plane.store.execs)).toBe(2);
    await keeper.recorded(ended);
    expect(await typesOf(ended)).toEqual(['exec.requested', 'exec.started', 'exec.exited']);
    await eventually('it has started', async () => (await typesOf(running)).includes('exec.started'));
    gate.open();
    await keeper.recorded(running);
    expect((await eventsOf(running)).at(-1)).toMatchObject({
      type: 'exec.exited',
      actor: { kind: 'system', id: `host/${hostId}` },
    });
  });

  test('an exec that the agent does not know is lost, and so is one of a box that has ended', async () => {
    const [up, down] = [await runningBox(), await runningBox()];
    const [unknown, gone] = [await requested(up), await requested(down)];
    await plane.submit({ type: 'box.stop', boxId: down });
    await plane.until(down, 'stopped');
    const keeper = keeperOf({ inspectExec: notKnown });
    expect(await keeper.recover(plane.store.execs)).toBe(2);
    for (const execId of [unknown, gone]) {
      await keeper.recorded(execId);
      expect(await typesOf(execId)).toEqual(['exec.requested', 'exec.lost']);
    }
  });

  test('the execs of other hosts are left to those', async () => {
    const other = randomIds.hostId();
    const execId = await requested(await runningBox(other));
    expect(await open(other)).toEqual([execId]);
    expect(await open(hostId)).toEqual([]);
    expect(await keeperOf({ inspectExec: notKnown }).recover(plane.store.execs)).toBe(0);
    expect(await typesOf(execId)).toEqual(['exec.requested']);
  });

  test('a box that answers nothing, for it is paused, does not hold up the start', async () => {
    const boxId = await runningBox();
    const execId = await requested(boxId);
    const keeper = keeperOf({ inspectExec: (_execId, signal) => never(signal) });
    expect(await keeper.recover(plane.store.execs)).toBe(1);
    keeper.close();
    await keeper.recorded(execId);
    expect(await typesOf(execId)).toEqual(['exec.requested']);
  });
});
