import type { Driver } from '../../src/drivers/driver.ts';
import { createSimDriver, type SimOperation } from '../../src/drivers/sim-driver.ts';
import { SimWorld } from '../../src/drivers/sim-world.ts';
import type { EffectContext } from '../../src/effects/effect-handler.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { EffectArgs, EffectIntent, EffectKind } from '../../src/events/effects.ts';
import type { Guest } from '../../src/guest/guest.ts';
import { effectHandlers } from '../../src/hosts/effect-handlers.ts';
import { GuestRegistry } from '../../src/hosts/guests.ts';
import { ProgressBoard } from '../../src/hosts/progress.ts';
import { UsageMeter } from '../../src/hosts/usage-meter.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { defaultTenant, effectId } from '../../src/kernel/ids.ts';
import { timestampFromMs } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { silent } from './plane.ts';
import { scriptedGuest } from './scripted-guest.ts';

const quickGuestMs = 50;
const quick = { bootMs: 200, shutdownTermMs: 50, freezeMs: 50, thawMs: 50 };
export const code = (value: number) => ({ kind: 'code', code: value }) as const;
const bootArgs = { name: 'some', options: boxOptionsSchema.parse({}) };

/** One box on a simulated host whose driver fails and whose guest behaves as the test says. */
export const oneBox = (
  script: Partial<Guest> = {},
  faults: Partial<Record<SimOperation, BoxledgerError>> = {},
) => {
  const boxId = randomIds.boxId();
  const done: string[] = [];
  const world = new SimWorld();
  const sim = createSimDriver({
    world,
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
    meter: new UsageMeter(driver, systemClock, silent),
    clock: systemClock,
    log: silent,
    limits: quick,
    progress: new ProgressBoard(),
    version: '0.0.0',
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
      queuedMs: 7,
      crash: noCrash,
    }) satisfies Omit<EffectContext<Kind>, 'signal'>;
  const open = new AbortController().signal;
  return {
    boxId,
    world,
    driver,
    guest,
    done,
    faults,
    exit,
    boot: (signal = open, generation = 1) =>
      handlers['vm.boot'](bootArgs, { ...context('vm.boot', bootArgs, generation), signal }),
    shutdown: (
      { process = null, frozen = false }: Partial<EffectArgs<'vm.shutdown'>> = {},
      signal = open,
    ) => {
      const args = { process, frozen, guestMs: quickGuestMs };
      return handlers['vm.shutdown'](args, { ...context('vm.shutdown', args, 1), signal });
    },
    pause: (args: EffectArgs<'vm.pause'>, signal = open) =>
      handlers['vm.pause'](args, { ...context('vm.pause', args, 1), signal }),
    resume: (args: EffectArgs<'vm.resume'>) =>
      handlers['vm.resume'](args, { ...context('vm.resume', args, 1), signal: open }),
    /** An effect of a box that runs, `attempt` after others that died. */
    carryOut: <Kind extends EffectKind>(
      kind: Kind,
      args: EffectArgs<Kind>,
      { attempt = 1, signal = open }: { attempt?: number; signal?: AbortSignal } = {},
    ) => handlers[kind](args, { ...context(kind, args, 1), attempt, signal }),
    remove: () => handlers['disk.remove']({}, { ...context('disk.remove', {}, 1), signal: open }),
  };
};
export const internal = (message: string) => new BoxledgerError('Internal', message);
