import type { Observation } from '../drivers/driver.ts';
import type { EffectContext, EffectHandler } from '../effects/effect-handler.ts';
import type { EffectResult } from '../events/effects.ts';
import { type Failure, failureOf } from '../events/failure.ts';
import type { Exit, ProcessIdentity } from '../events/process.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { withinLimit } from './time-limit.ts';
import type { Workshop } from './workshop.ts';

type Manner = EffectResult<'vm.shutdown'>['manner'];

/**
 * A ladder: the guest is asked, then the processes, then nobody. A step that fails is recorded and the next one follows;
 * only the last must succeed, for without it something might still run of a box that is said to be stopped. When the
 * effect's time is up, the waits end and the ladder goes on; when it is broken off, it stops where it is.
 */
export const shutdownHandler =
  (shop: Workshop): EffectHandler<'vm.shutdown'> =>
  async (args, context) => {
    const { driver, guests } = shop;
    const { boxId, generation } = context.intent;
    const found = await driver.observe(boxId);
    const climb = new Climb(shop, context);
    let end: { exit: Exit; manner: Manner } | undefined;
    if (found.kind === 'running') {
      await shop.meter.note(boxId, generation);
      await climb.unfreeze(found.process, args.frozen || found.frozen);
      end = (await climb.askGuest(found.process, args.guestMs)) ?? (await climb.askProcesses(found.process));
    }
    guests.drop(boxId);
    // Also when all has ended: sockets, mounts and stray processes go with it.
    await driver.kill(boxId);
    const manner = found.kind === 'running' ? 'killed' : 'already-dead';
    return {
      ...(end ?? { exit: exitOf(await driver.observe(boxId), generation), manner }),
      failures: climb.failures,
    };
  };

class Climb {
  readonly failures: Failure[] = [];
  readonly #shop: Workshop;
  readonly #context: EffectContext<'vm.shutdown'>;

  constructor(shop: Workshop, context: EffectContext<'vm.shutdown'>) {
    this.#shop = shop;
    this.#context = context;
  }

  /** A frozen box hears nothing, and one whose file systems are frozen cannot flush. */
  async unfreeze(process: ProcessIdentity, frozen: boolean) {
    if (!frozen) return;
    const { driver, guests, limits } = this.#shop;
    const { boxId } = this.#context.intent;
    await this.#step('unfreeze', () => driver.unfreeze(boxId, process));
    await this.#step('thaw', async () => {
      await this.#within('thaw', limits.thawMs, async (signal) => guests.of(boxId)?.thaw(signal));
    });
  }

  async askGuest(process: ProcessIdentity, limitMs: number) {
    const guest = this.#shop.guests.of(this.#context.intent.boxId);
    if (guest === null) return undefined;
    return this.#rung('graceful', () =>
      this.#within('guest shutdown', limitMs, async (signal) => {
        await guest.shutdown(signal);
        this.#context.crash('shutdown.asked', this.#context.intent.kind);
        return this.#ended(process, signal);
      }),
    );
  }

  async askProcesses(process: ProcessIdentity) {
    const { driver, limits } = this.#shop;
    return this.#rung('terminated', async () => {
      await driver.terminate(this.#context.intent.boxId, process);
      return this.#within('SIGTERM', limits.shutdownTermMs, (signal) => this.#ended(process, signal));
    });
  }

  /** The box's end, if this rung led to it: also when the answer was lost because the box ended. */
  async #rung(manner: Manner, climb: () => Promise<Exit>) {
    const { boxId, generation } = this.#context.intent;
    const exit = await this.#step(manner, climb);
    if (exit !== undefined) return { exit, manner };
    const now = await this.#step('look', () => this.#shop.driver.observe(boxId));
    return now?.kind === 'ended' ? { exit: exitOf(now, generation), manner } : undefined;
  }

  async #step<T>(what: string, take: () => Promise<T>): Promise<T | undefined> {
    const { signal } = this.#context;
    if (isBrokenOff(signal)) throw signal.reason;
    try {
      return await take();
    } catch (error) {
      if (isBrokenOff(signal)) throw signal.reason;
      this.failures.push({ ...failureOf(error), message: `${what}: ${failureOf(error).message}` });
      return undefined;
    }
  }

  #ended(process: ProcessIdentity, signal: AbortSignal): Promise<Exit> {
    return this.#shop.driver.ended(this.#context.intent.boxId, process, signal);
  }

  #within<T>(what: string, limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withinLimit(what, limitMs, this.#context.signal, work);
  }
}

const isBrokenOff = ({ aborted, reason }: AbortSignal) =>
  aborted && !(reason instanceof BoxledgerError && reason.code === 'DeadlineExceeded');

/** Of this start of the box; an earlier one's exit is not this one's. */
const exitOf = (found: Observation, generation: number): Exit =>
  found.kind === 'ended' && found.generation === generation ? found.exit : { kind: 'unknown' };
