import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CommandDoor } from '../commands/door.ts';
import type { Driver, Observation } from '../drivers/driver.ts';
import type { Backoff } from '../effects/backoff.ts';
import { persist } from '../effects/persist.ts';
import type { BoxView } from '../events/box-view.ts';
import type { Exit, ProcessIdentity } from '../events/process.ts';
import { type BoxId, commandId, type HostId } from '../kernel/ids.ts';
import type { GuestRegistry } from './guests.ts';
import type { HostBoxes, PresentBox } from './host-boxes.ts';
import type { Leftovers } from './leftovers.ts';
import { thaw } from './quiesce.ts';
import { remedyFor } from './reconcile.ts';
import type { StepLimits } from './workshop.ts';

export interface SupervisorOptions {
  readonly hostId: HostId;
  /** Of the host's present join. */
  readonly epoch: number;
  readonly driver: Driver;
  readonly guests: GuestRegistry;
  readonly door: CommandDoor;
  readonly boxes: HostBoxes;
  readonly limits: StepLimits;
  readonly backoff: Backoff;
  readonly log: Logger;
  /** To `check` the box once nothing else works on it. */
  readonly lookAgain: (boxId: BoxId) => void;
  readonly leftovers: Pick<Leftovers, 'clearSnapshots' | 'clearStranger' | 'clearExports'>;
  /** Told of each box of this host that was looked at, as the log has it. */
  readonly onView: (present: PresentBox) => void;
}

/** How many boxes are looked at side by side. */
const checksAtOnce = 16;

/**
 * Keeps host and log in agreement about which boxes run: at the start about all of them, later about each whose effect
 * has ended, and by waiting for the end of every one that runs. An end is the same event whether it was seen live or is
 * found at the next start.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #closing = new AbortController();
  readonly #watches = new Map<BoxId, { readonly generation: number; readonly stop: AbortController }>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /**
   * Everything that this host has or should have. Call it while nothing else works on the host's boxes. A box that cannot
   * be dealt with holds up no other and is looked at again later; the database being away holds up all until it is back.
   */
  async reconcile(): Promise<void> {
    const { driver, boxes, hostId } = this.#options;
    const placed = await this.#persist('the list of boxes', () => boxes.placedOn(hostId));
    const known = new Set(placed.map(({ view }) => view.boxId));
    const others = (await driver.list()).filter((boxId) => !known.has(boxId));
    const checks = [
      ...placed.map((present) => () => this.#agree(present.view.boxId, async () => present)),
      ...others.map((boxId) => () => this.check(boxId)),
      () => this.#clearExports(),
    ];
    for (let next = 0; next < checks.length; next += checksAtOnce)
      await Promise.all(checks.slice(next, next + checksAtOnce).map((check) => check()));
  }

  /** One box. Call it while nothing else works on it. */
  async check(boxId: BoxId): Promise<void> {
    await this.#agree(boxId, () => this.#presentOf(boxId));
  }

  async #agree(boxId: BoxId, look: () => Promise<PresentBox | undefined>) {
    const { hostId, leftovers, log, onView } = this.#options;
    try {
      const present = await look();
      const view = present?.view;
      if (present?.view.placement?.hostId === hostId) onView(present);
      await this.#remedy(boxId, view);
      if (view === undefined) await leftovers.clearStranger(boxId);
      else if (view.placement?.hostId === hostId) await leftovers.clearSnapshots(view);
    } catch (err) {
      if (this.#closing.signal.aborted) return;
      log.error({ err, boxId }, 'a box could not be brought into agreement with the log; it is tried again');
      void this.#pause(this.#closing.signal).then((over) => over && this.#options.lookAgain(boxId));
    }
  }

  async #remedy(boxId: BoxId, view: BoxView | undefined) {
    const { driver, hostId, log } = this.#options;
    const found = await driver.observe(boxId);
    const remedy = remedyFor(view, found, hostId);
    if (remedy.kind !== 'none') log.debug({ boxId, state: view?.state, found, remedy }, 'box looked at');
    switch (remedy.kind) {
      case 'none':
        return;
      case 'end':
        return await this.#end(boxId, view, remedy.alsoDisk);
      case 'report-exit':
        return await this.#reportExit(view, boxId, remedy.exit);
      case 'freeze':
      case 'unfreeze':
        await this.#correct(boxId, found, remedy.kind);
        return this.#watch(view, found);
      case 'watch':
        return this.#watch(view, found);
      default:
        return remedy satisfies never;
    }
  }

  #presentOf(boxId: BoxId): Promise<PresentBox | undefined> {
    return this.#persist('a box', () => this.#options.boxes.present(boxId));
  }

  async #clearExports() {
    await this.#options.leftovers.clearExports().catch((err: unknown) => {
      this.#options.log.error({ err }, 'what earlier exports left could not be cleared away');
    });
  }

  /** Waits for the end of a box that the log says is up. */
  boxIsUp(view: BoxView): void {
    if (view.process !== null) this.#waitForEnd(view, view.process);
  }

  /** Ends all waiting; the boxes run on. */
  close(): void {
    this.#closing.abort();
    for (const { stop } of this.#watches.values()) stop.abort();
    this.#watches.clear();
  }

  #watch(view: BoxView | undefined, found: Observation) {
    if (view !== undefined && found.kind === 'running') this.#waitForEnd(view, found.process);
  }

  #waitForEnd(view: BoxView, process: ProcessIdentity) {
    const { boxId, generation } = view;
    const known = this.#watches.get(boxId);
    if (this.#closing.signal.aborted || known?.generation === generation) return;
    known?.stop.abort();
    const stop = new AbortController();
    const watch = { generation, stop };
    this.#watches.set(boxId, watch);
    this.#options.driver
      .ended(boxId, process, stop.signal)
      .then((exit) => this.#reportExit(view, boxId, exit))
      .catch(async (err: unknown) => {
        if (stop.signal.aborted) return;
        this.#options.log.error(
          { err, boxId },
          'the end of a box could not be reported; it is waited for again',
        );
        await this.#pause(stop.signal);
        return 'again' as const;
      })
      .then((next) => {
        if (this.#watches.get(boxId) !== watch) return;
        this.#watches.delete(boxId);
        if (next === 'again') this.#waitForEnd(view, process);
      });
  }

  /** While the box is being stopped its end is the stop's to report, and this is refused. */
  async #reportExit(view: BoxView | undefined, boxId: BoxId, exit: Exit) {
    if (view === undefined) return;
    const { door, guests, hostId, epoch, log } = this.#options;
    const { generation, tenant } = view;
    const answer = await this.#persist('the end of a box', () =>
      door.submit(
        { type: 'box.reportExit', boxId, generation, exit, placement: { hostId, epoch } },
        {
          tenant,
          actor: { kind: 'system', id: `host/${hostId}` },
          commandId: commandId(`${boxId}-${generation}-exit`),
        },
      ),
    );
    if (answer.kind === 'refused')
      log.debug({ boxId, refusal: answer.refusal }, 'the end of a box was not heard');
    else guests.drop(boxId);
  }

  async #end(boxId: BoxId, view: BoxView | undefined, alsoDisk: boolean) {
    const { driver, guests, log } = this.#options;
    log.warn(
      { boxId, state: view?.state ?? 'unknown to the log', alsoDisk },
      'ended what should not run here',
    );
    guests.drop(boxId);
    await driver.kill(boxId);
    if (alsoDisk) await driver.removeDisk(boxId);
  }

  async #correct(boxId: BoxId, found: Observation, what: 'freeze' | 'unfreeze') {
    if (found.kind !== 'running') return;
    const { driver, guests, limits, log } = this.#options;
    log.warn({ boxId, what }, 'a pause or resume was left half done');
    await driver[what](boxId, found.process);
    if (what === 'freeze') return;
    const failure = await thaw({ guests, limits }, boxId, this.#closing.signal);
    if (failure !== undefined) log.warn({ boxId, failure }, 'its file systems could not be thawed');
  }

  /** Before something is tried again; false when it was ended by the signal. */
  #pause(signal: AbortSignal): Promise<boolean> {
    return sleep(this.#options.backoff.maxMs, true, { signal, ref: false }).catch(() => false);
  }

  #persist<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { backoff, log } = this.#options;
    return persist(what, { backoff, log, signal: this.#closing.signal }, work);
  }
}
