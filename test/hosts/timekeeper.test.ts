import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CommandDoor } from '../../src/commands/door.ts';
import { createSimDriver, type SimDriver } from '../../src/drivers/sim-driver.ts';
import { SimWorld } from '../../src/drivers/sim-world.ts';
import type { BoxOptions } from '../../src/events/box-options.ts';
import type { Command } from '../../src/events/commands.ts';
import { overheardDoor } from '../../src/hosts/overheard-door.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import {
  type BoxId,
  commandId,
  copyStream,
  execStream,
  type HostId,
  noVersion,
  type StreamId,
} from '../../src/kernel/ids.ts';
import { msOf, type Timestamp } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { eventually } from '../support/eventually.ts';
import { requestExec } from '../support/exec-commands.ts';
import { type HostUnderTest, hostsOn } from '../support/host-under-test.ts';
import { createPlane, meta, type Plane } from '../support/plane.ts';

let plane: Plane;
let hostId: HostId;
let driver: SimDriver;
const hosts = hostsOn(() => plane);

beforeAll(async () => {
  plane = await createPlane();
  plane.sweeper.start();
});
afterAll(() => plane.close());
beforeEach(() => {
  hostId = randomIds.hostId();
  driver = createSimDriver({ world: new SimWorld() });
});

const start = (options: Parameters<typeof hosts.start>[2] = {}) => hosts.start(hostId, driver, options);
const runningBox = async (host: HostUnderTest, options: Partial<BoxOptions>) => {
  const boxId = await plane.startingBox(hostId, host.epoch, options);
  await plane.until(boxId, 'running');
  return boxId;
};
const pausedBox = async (host: HostUnderTest, maxDurationMs: number) => {
  const boxId = await runningBox(host, {});
  await plane.submit({ type: 'box.pause', boxId, maxDurationMs });
  return boxId;
};
/** When the use was over, by the log. */
const useOnce = async (door: CommandDoor, boxId: BoxId, kind: 'exec' | 'copy'): Promise<Timestamp> => {
  const failure = { code: 'NotFound', message: 'no such thing' } as const;
  let stream: StreamId;
  if (kind === 'exec') {
    const execId = await requestExec(door, boxId);
    await door.submit({ type: 'exec.reportFailed', execId, failure }, meta);
    stream = execStream(execId);
  } else {
    const copyId = randomIds.copyId();
    const where = { boxId, generation: 1, direction: 'out', path: '/x' } as const;
    await door.submit({ type: 'copy.reportFailed', copyId, ...where, failure, durationMs: 1 }, meta);
    stream = copyStream(copyId);
  }
  const last = (await plane.store.log.readStream(stream, noVersion, 10)).at(-1);
  if (last === undefined) throw new Error('it was not used');
  return last.occurredAt;
};
/** The only event of the type; waits until there is one. */
const eventOf = (boxId: BoxId, type: string) =>
  eventually(`${type} of ${boxId}`, async () => {
    const found = (await plane.events(boxId)).filter((event) => event.type === type);
    expect(found.length).toBeLessThan(2);
    return found[0];
  });
const momentOf = (at: Timestamp | null | undefined): number => {
  if (at === null || at === undefined) throw new Error('it has not come about');
  return msOf(at);
};
const saidByHost = () => ({ actor: { kind: 'system', id: `host/${hostId}` } });

test('a pause that has lasted as long as it was to is ended by the host, which says so', async () => {
  const boxId = await pausedBox(await start(), 300);
  const asked = await eventOf(boxId, 'box.resumeRequested');
  expect(asked).toMatchObject({ ...saidByHost(), reason: expect.stringContaining('0.3 s') });
  const paused = await eventOf(boxId, 'box.paused');
  expect(msOf(asked.occurredAt) - msOf(paused.occurredAt)).toBeGreaterThanOrEqual(300);
  await plane.until(boxId, 'running');
});

test('a pause that was to last until a moment when no host was there is ended at the next start', async () => {
  const first = await start();
  const boxId = await pausedBox(first, 400);
  await plane.until(boxId, 'paused');
  await hosts.stop(first);
  const { pause } = await plane.view(boxId);
  await eventually('its time has passed', () => Date.now() > momentOf(pause?.until));
  expect((await plane.view(boxId)).state).toBe('paused');
  await start();
  expect(await eventOf(boxId, 'box.resumeRequested')).toMatchObject(saidByHost());
  await plane.until(boxId, 'running');
});

test('a resume that does not come about is asked for again, with a pause in between', async () => {
  let failures = 2;
  const stuck = createSimDriver({
    fail: (operation) => {
      if (operation !== 'unfreeze' || failures === 0) return undefined;
      failures -= 1;
      return new BoxledgerError('Internal', 'it does not move');
    },
  });
  const host = await hosts.start(hostId, stuck);
  const boxId = await pausedBox(host, 100);
  await eventually('it runs again', async () => (await plane.view(boxId)).state === 'running');
  const asked = (await plane.events(boxId)).filter(({ type }) => type === 'box.resumeRequested');
  expect(asked.length).toBe(3);
  for (const [at, event] of asked.slice(1).entries())
    expect(msOf(event.occurredAt) - momentOf(asked[at]?.occurredAt)).toBeGreaterThan(150);
});

test('a box is stopped when its lifetime is over, and the event says why', async () => {
  const boxId = await runningBox(await start(), { maxLifetimeMs: 300, restart: { policy: 'always' } });
  expect(await eventOf(boxId, 'box.stopRequested')).toMatchObject({
    ...saidByHost(),
    reason: 'up for 0.3 s, its maximum lifetime',
  });
  await plane.until(boxId, 'stopped');
});

test('a lifetime begins anew with each start', async () => {
  const host = await start();
  const boxId = await runningBox(host, { maxLifetimeMs: 300 });
  await plane.until(boxId, 'stopped');
  await plane.submit({ type: 'box.start', boxId, placement: { hostId, epoch: host.epoch } });
  const { startedAt } = await plane.until(boxId, 'running');
  const { stoppedAt } = await plane.until(boxId, 'stopped');
  expect(momentOf(stoppedAt) - momentOf(startedAt)).toBeGreaterThanOrEqual(300);
});

test('a paused box is stopped as well when its lifetime is over', async () => {
  const boxId = await runningBox(await start(), { maxLifetimeMs: 600 });
  await plane.submit({ type: 'box.pause', boxId });
  await plane.until(boxId, 'stopped');
});

test('a limit is kept while the database comes and goes', async () => {
  let awayTimes = 2;
  const host = await start({
    door: {
      submit: async (command, commandMeta) => {
        if (command.type !== 'box.stop') return plane.door.submit(command, commandMeta);
        awayTimes -= 1;
        if (awayTimes >= 0) throw new BoxledgerError('Unavailable', 'the database is away');
        return plane.door.submit(command, commandMeta);
      },
    },
  });
  const boxId = await runningBox(host, { maxLifetimeMs: 200 });
  await plane.until(boxId, 'stopped');
  await eventOf(boxId, 'box.stopRequested');
});

/** Commits, and loses the first answer to a command of the type. */
const losingAnswerTo = (type: Command['type']): CommandDoor => {
  let lost = false;
  return {
    submit: async (command, commandMeta) => {
      const answer = await plane.door.submit(command, commandMeta);
      if (command.type !== type || lost) return answer;
      lost = true;
      throw new BoxledgerError('Unavailable', 'the connection is gone');
    },
  };
};

test('an answer that was lost on its way does not make two', async () => {
  const host = await start({ door: losingAnswerTo('box.resume') });
  const boxId = await pausedBox(host, 100);
  await eventually('it runs again', async () => (await plane.view(boxId)).state === 'running');
  await eventOf(boxId, 'box.resumeRequested');
});

test('a box is held to its limits though the answer to its start was lost', async () => {
  const host = await start({ door: losingAnswerTo('box.settleEffect') });
  const boxId = await runningBox(host, { maxLifetimeMs: 200 });
  await plane.until(boxId, 'stopped');
  await eventOf(boxId, 'box.stopRequested');
});

test('an exec keeps its box from being idle no more though the answer to its end was lost', async () => {
  const host = await start();
  const boxId = await runningBox(host, { idleTimeoutMs: 200 });
  const door = overheardDoor(losingAnswerTo('exec.reportFailed'), host);
  const execId = await requestExec(door, boxId);
  expect(host.uses.of(boxId)).toBe('in-use');
  const failure = { code: 'NotFound', message: 'there is no such program' } as const;
  const end = () =>
    door.submit(
      { type: 'exec.reportFailed', execId, failure },
      { ...meta, commandId: commandId(`${execId}.end`) },
    );
  await expect(end()).rejects.toMatchObject({ code: 'Unavailable' });
  await end();
  await plane.until(boxId, 'stopped');
});

test('an idle box is stopped, and not while an exec goes on in it', async () => {
  const host = await start();
  const door = overheardDoor(plane.door, host);
  const boxId = await runningBox(host, { idleTimeoutMs: 1_000 });
  const execId = await requestExec(door, boxId);
  await door.submit({ type: 'exec.reportStarted', execId, pid: 7 }, meta);
  const { startedAt } = await plane.view(boxId);
  await eventually('it would have been idle', () => Date.now() > momentOf(startedAt) + 1_500);
  expect((await plane.view(boxId)).state).toBe('running');
  const end = { exit: { kind: 'code', code: 0 } as const, timedOut: false, durationMs: 1 };
  await door.submit(
    { type: 'exec.reportExited', execId, pid: 7, ...end, stdoutBytes: 0, stderrBytes: 0 },
    meta,
  );
  const [, , ended] = await plane.store.log.readStream(execStream(execId), noVersion, 10);
  const asked = await eventOf(boxId, 'box.stopRequested');
  expect(asked).toMatchObject({ ...saidByHost(), reason: expect.stringContaining('idle for 1 s') });
  expect(msOf(asked.occurredAt) - momentOf(ended?.occurredAt)).toBeGreaterThanOrEqual(990);
  await plane.until(boxId, 'stopped');
  expect(host.uses.of(boxId)).not.toBe('in-use');
});

test('an exec that goes on while its host is away keeps its box from being idle', async () => {
  const first = await start();
  const boxId = await runningBox(first, { idleTimeoutMs: 400 });
  const execId = await requestExec(overheardDoor(plane.door, first), boxId);
  await hosts.stop(first);
  const next = await start();
  expect(next.uses.of(boxId)).toBe('in-use');
  const tookOverMs = Date.now();
  await eventually('it would have been idle', () => Date.now() > tookOverMs + 800);
  expect((await plane.view(boxId)).state).toBe('running');
  const failure = { code: 'Unavailable', message: 'nobody knows it any more' } as const;
  await overheardDoor(plane.door, next).submit({ type: 'exec.reportLost', execId, failure }, meta);
  await plane.until(boxId, 'stopped');
});

test.each(['exec', 'copy'] as const)(
  'a box is as idle after a restart of its host as before: its last %s counts, not the restart',
  async (kind) => {
    const first = await start();
    const boxId = await runningBox(first, { idleTimeoutMs: 2_500 });
    await eventually('it has been idle for a while', async () => {
      const { startedAt } = await plane.view(boxId);
      return Date.now() > momentOf(startedAt) + 500;
    });
    const usedAt = await useOnce(overheardDoor(plane.door, first), boxId, kind);
    await hosts.stop(first);
    await eventually('its host has been away for a while', () => Date.now() > msOf(usedAt) + 1_500);
    const next = await start();
    const restartedMs = Date.now();
    expect(next.uses.of(boxId)).toBe(msOf(usedAt));
    const asked = await eventOf(boxId, 'box.stopRequested');
    expect(msOf(asked.occurredAt) - msOf(usedAt)).toBeGreaterThanOrEqual(2_490);
    expect(msOf(asked.occurredAt)).toBeLessThan(restartedMs + 2_400);
    await plane.until(boxId, 'stopped');
  },
);

test('an idle box is stopped, and not while files are copied', async () => {
  const host = await start();
  const boxId = await runningBox(host, { idleTimeoutMs: 400 });
  const end = host.uses.begin(boxId);
  const { startedAt } = await plane.view(boxId);
  await eventually('it would have been idle', () => Date.now() > momentOf(startedAt) + 800);
  expect((await plane.view(boxId)).state).toBe('running');
  end();
  await plane.until(boxId, 'stopped');
});

test('a box that was paused for long is not idle the moment it is resumed', async () => {
  const boxId = await runningBox(await start(), { idleTimeoutMs: 600 });
  const paused = await plane.submit({ type: 'box.pause', boxId });
  await plane.until(boxId, 'paused');
  await eventually('it would be idle', () => Date.now() > momentOf(paused.startedAt) + 900);
  expect((await plane.view(boxId)).state).toBe('paused');
  await plane.submit({ type: 'box.resume', boxId });
  const asked = await eventOf(boxId, 'box.stopRequested');
  const resumed = await eventOf(boxId, 'box.resumed');
  expect(msOf(asked.occurredAt) - msOf(resumed.occurredAt)).toBeGreaterThanOrEqual(590);
});

test('a limit of one run never ends the next', async () => {
  const host = await start();
  const boxId = await runningBox(host, { maxLifetimeMs: 700 });
  // Another process stops and starts it: this host hears of that only by the effects.
  await plane.submit({ type: 'box.restart', boxId, placement: { hostId, epoch: host.epoch } });
  const { startedAt } = await eventually('its second run', async () => {
    const view = await plane.view(boxId);
    return view.generation === 2 && view.state === 'running' && view;
  });
  const { stoppedAt } = await plane.until(boxId, 'stopped');
  expect(momentOf(stoppedAt) - momentOf(startedAt)).toBeGreaterThanOrEqual(700);
});
