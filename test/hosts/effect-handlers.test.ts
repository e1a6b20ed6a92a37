import { expect, test } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { createSimDriver, type SimOperation } from '../../src/drivers/sim-driver.ts';
import type { EffectContext } from '../../src/effects/effect-handler.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { EffectArgs, EffectIntent, EffectKind } from '../../src/events/effects.ts';
import type { Guest } from '../../src/guest/guest.ts';
import { effectHandlers } from '../../src/hosts/effect-handlers.ts';
import { GuestRegistry } from '../../src/hosts/guests.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { defaultTenant, effectId } from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { gate } from '../support/gate.ts';
import { silent } from '../support/plane.ts';
import { never, scriptedGuest, unavailable } from '../support/scripted-guest.ts';

const quick = { bootMs: 200, shutdownGuestMs: 50, shutdownTermMs: 50, freezeMs: 50, thawMs: 50 };
const code = (value: number) => ({ kind: 'code', code: value }) as const;
const bootArgs = { name: 'some', options: boxOptionsSchema.parse({}) };

/** One box on a simulated host whose driver fails and whose guest behaves as the test says. */
const world = (script: Partial<Guest> = {}, faults: Partial<Record<SimOperation, BoxledgerError>> = {}) => {
  const boxId = randomIds.boxId();
  const done: string[] = [];
  const sim = createSimDriver({
    fail: (operation) => {
      done.push(operation);
      return faults[operation];
    },
  });
  const exit = (how = code(0)) => sim.exit(boxId, how);
  const driver: Driver = Object.assign(sim, { guestAddress: () => 'unix:/nowhere' });
  const guest = scriptedGuest(script);
  const handlers = effectHandlers({
    driver,
    guests: new GuestRegistry(driver, () => guest),
    clock: systemClock,
    log: silent,
    limits: quick,
  });
  const context = <Kind extends EffectKind>(kind: Kind, args: EffectArgs<Kind>, generation: number) =>
    ({
      intent: {
        effectId: effectId(`${boxId}-1-${kind}`),
        tenant: defaultTenant,
        boxId,
        generation,
        placement: { hostId: randomIds.hostId(), epoch: 1 },
        notBefore: null,
        deadline: timestampFromMs(Date.now() + 60_000),
        kind,
        args,
      } as Extract<EffectIntent, { kind: Kind }>, // the kind and its arguments belong together by the signature
      attempt: 1,
      crash: noCrash,
    }) satisfies Omit<EffectContext<Kind>, 'signal'>;
  const open = new AbortController().signal;
  return {
    boxId,
    driver,
    guest,
    done,
    faults,
    exit,
    boot: (signal = open, generation = 1) =>
      handlers['vm.boot'](bootArgs, { ...context('vm.boot', bootArgs, generation), signal }),
    shutdown: (args: EffectArgs<'vm.shutdown'> = { process: null, frozen: false }, signal = open) =>
      handlers['vm.shutdown'](args, { ...context('vm.shutdown', args, 1), signal }),
    pause: (args: EffectArgs<'vm.pause'>, signal = open) =>
      handlers['vm.pause'](args, { ...context('vm.pause', args, 1), signal }),
    resume: (args: EffectArgs<'vm.resume'>) =>
      handlers['vm.resume'](args, { ...context('vm.resume', args, 1), signal: open }),
    remove: () => handlers['disk.remove']({}, { ...context('disk.remove', {}, 1), signal: open }),
  };
};
const internal = (message: string) => new BoxledgerError('Internal', message);

test('a box is up when its guest has answered, and the stages say how long each took', async () => {
  let pings = 0;
  const it = world({
    ping: async () => {
      pings += 1;
      if (pings < 3) throw unavailable();
      return { agentVersion: '0', pid: 1, hostname: 'box' };
    },
  });
  const { stagesMs, tookOver } = await it.boot();
  expect(tookOver).toBe(false);
  expect(Object.keys(stagesMs).sort()).toEqual(['disk', 'guest', 'spawn']);
  expect(pings).toBe(3);
});

test('a boot that finds its box up takes it over', async () => {
  const it = world();
  const first = await it.boot();
  const second = await it.boot();
  expect(second).toMatchObject({ tookOver: true, process: first.process });
});

test('a box that dies before its guest answers fails the boot at once, with its last output', async () => {
  const asked = gate();
  const it = world({
    ping: async () => {
      asked.open();
      throw unavailable();
    },
  });
  Object.assign(it.driver, { consoleTail: async () => 'panic: no init' });
  const booting = it.boot();
  await asked.passed;
  it.exit(code(127));
  await expect(booting).rejects.toMatchObject({
    code: 'Internal',
    details: { console: 'panic: no init', exit: code(127) },
  });
});

test('a guest that does not answer in time fails the boot, and only the disk is left', async () => {
  const it = world({ ping: never });
  await expect(it.boot()).rejects.toMatchObject({ code: 'DeadlineExceeded', details: { console: '' } });
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
  expect(await it.driver.list()).toEqual([it.boxId]);
});

test('a boot that is broken off undoes what it began', async () => {
  const asked = gate();
  const abort = new AbortController();
  const it = world({
    ping: (signal) => {
      asked.open();
      return never(signal);
    },
  });
  const booting = it.boot(abort.signal);
  await asked.passed;
  const reason = new Error('overtaken');
  abort.abort(reason);
  await expect(booting).rejects.toBe(reason);
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
});

test('a guest that shuts down by itself makes a graceful stop with its own exit code', async () => {
  const it = world({ shutdown: async () => it.exit(code(5)) });
  const { process } = await it.boot();
  expect(await it.shutdown({ process, frozen: false })).toEqual({
    exit: code(5),
    manner: 'graceful',
    failures: [],
  });
  expect(it.done.at(-1)).toBe('kill');
});

test('a guest whose answer was lost because it had ended already stopped gracefully all the same', async () => {
  const it = world({
    shutdown: async () => {
      it.exit(code(0));
      throw unavailable();
    },
  });
  const { process } = await it.boot();
  expect(await it.shutdown({ process, frozen: false })).toMatchObject({ exit: code(0), manner: 'graceful' });
});

test('a guest that agrees and does not end is terminated', async () => {
  const it = world();
  const { process } = await it.boot();
  expect(await it.shutdown({ process, frozen: false })).toMatchObject({
    exit: { kind: 'signal', signal: 'SIGTERM' },
    manner: 'terminated',
    failures: [{ code: 'DeadlineExceeded' }],
  });
});

test('no failing step of a stop skips the next, and each failure is recorded', async () => {
  const it = world(
    { shutdown: () => Promise.reject(unavailable()), thaw: () => Promise.reject(unavailable()) },
    { unfreeze: internal('no freezer'), terminate: internal('no signal') },
  );
  const { process } = await it.boot();
  const { exit, manner, failures } = await it.shutdown({ process, frozen: true });
  expect({ exit, manner }).toEqual({ exit: { kind: 'signal', signal: 'SIGKILL' }, manner: 'killed' });
  expect(failures.map(({ message }) => message)).toEqual([
    'unfreeze: no freezer',
    'thaw: the guest does not answer',
    'graceful: the guest does not answer',
    'terminated: no signal',
  ]);
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
});

test('a stop whose last step fails is not done', async () => {
  const it = world({}, { terminate: internal('no signal'), kill: internal('cannot be killed') });
  delete it.faults.kill;
  const { process } = await it.boot();
  it.faults.kill = internal('cannot be killed');
  await expect(it.shutdown({ process, frozen: false })).rejects.toThrow('cannot be killed');
});

test('a paused box is unfrozen and thawed before it is asked to stop', async () => {
  const it = world({ shutdown: async () => it.exit() });
  const { process } = await it.boot();
  await it.pause({ process });
  expect(await it.shutdown({ process, frozen: true })).toEqual({
    exit: code(0),
    manner: 'graceful',
    failures: [],
  });
  expect(it.guest.asked.slice(-3)).toEqual(['thaw', 'shutdown', 'close']);
});

test('a box that has ended is already dead, with the exit that its host knows, and is cleared away', async () => {
  const it = world();
  const { process } = await it.boot();
  it.exit(code(9));
  expect(await it.shutdown({ process, frozen: false })).toEqual({
    exit: code(9),
    manner: 'already-dead',
    failures: [],
  });
  expect(it.done.at(-1)).toBe('kill');
});

test('a stop of a box whose boot never came about is already dead, of an unknown exit', async () => {
  const it = world();
  expect(await it.shutdown()).toEqual({ exit: { kind: 'unknown' }, manner: 'already-dead', failures: [] });
});

test('a stop finds the process that a cancelled boot left and the log does not know', async () => {
  const it = world({ shutdown: async () => it.exit() });
  await it.boot();
  expect(await it.shutdown({ process: null, frozen: false })).toMatchObject({ manner: 'graceful' });
});

test('a stop whose time is up goes straight to the end of the ladder', async () => {
  const it = world({ shutdown: never });
  const { process } = await it.boot();
  const late = AbortSignal.abort(new BoxledgerError('DeadlineExceeded', 'too late'));
  expect(await it.shutdown({ process, frozen: false }, late)).toMatchObject({ manner: 'terminated' });
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
});

test('a stop that is broken off leaves the rest to whoever comes next', async () => {
  const it = world({ shutdown: never });
  const { process } = await it.boot();
  const reason = new BoxledgerError('Unavailable', 'closing');
  await expect(it.shutdown({ process, frozen: false }, AbortSignal.abort(reason))).rejects.toBe(reason);
  expect((await it.driver.observe(it.boxId)).kind).toBe('running');
});

test('a pause freezes the file systems, then the processes', async () => {
  const it = world();
  const { process } = await it.boot();
  expect(await it.pause({ process })).toEqual({ consistency: 'file-system' });
  expect(await it.driver.observe(it.boxId)).toMatchObject({ kind: 'running', frozen: true });
});

test.each([
  ['refuses', async () => ({ frozen: false, detail: 'no file system here can be frozen' }), 'Unsupported'],
  ['is gone', () => Promise.reject(unavailable()), 'Unavailable'],
  ['hangs', never, 'DeadlineExceeded'],
] as const)('a pause whose guest %s is crash consistent and says why', async (_how, quiesce, failure) => {
  const it = world({ quiesce });
  const { process } = await it.boot();
  expect(await it.pause({ process })).toMatchObject({
    consistency: 'crash',
    freezeFailure: { code: failure },
  });
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: true });
});

test('a pause whose freeze fails thaws the file systems again', async () => {
  const it = world({}, { freeze: internal('no freezer') });
  const { process } = await it.boot();
  await expect(it.pause({ process })).rejects.toThrow('no freezer');
  expect(it.guest.asked).toEqual(['ping', 'quiesce', 'thaw']);
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: false });
});

test('a pause that is broken off between its steps leaves nothing frozen', async () => {
  const abort = new AbortController();
  const it = world({
    quiesce: async () => {
      abort.abort(new Error('overtaken'));
      return { frozen: true, detail: '' };
    },
  });
  const { process } = await it.boot();
  await expect(it.pause({ process }, abort.signal)).rejects.toThrow('overtaken');
  expect(it.guest.asked).toEqual(['ping', 'quiesce', 'thaw']);
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: false });
});

test('a resume unfreezes and thaws; a thaw that fails is reported and does not undo the resume', async () => {
  const it = world({ thaw: never });
  const { process } = await it.boot();
  await it.pause({ process });
  expect(await it.resume({ process })).toMatchObject({ thawFailure: { code: 'DeadlineExceeded' } });
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: false });
  expect(await world().remove()).toEqual({});
});

test('removal ends what still runs before it takes the disk', async () => {
  const it = world();
  await it.boot();
  expect(await it.remove()).toEqual({});
  expect(await it.driver.list()).toEqual([]);
  expect(it.done.slice(-2)).toEqual(['kill', 'removeDisk']);
});

test('a driver without a guest is neither pinged, nor quiesced, nor asked', async () => {
  const it = world();
  Object.assign(it.driver, { guestAddress: () => null });
  const { process, stagesMs } = await it.boot();
  expect(stagesMs).not.toHaveProperty('guest');
  expect(await it.pause({ process })).toEqual({ consistency: 'crash' });
  expect(await it.resume({ process })).toEqual({});
  expect(await it.shutdown({ process, frozen: false })).toMatchObject({ manner: 'terminated', failures: [] });
  expect(it.guest.asked).toEqual([]);
});
