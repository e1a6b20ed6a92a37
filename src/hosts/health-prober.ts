import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CommandDoor } from '../commands/door.ts';
import type { Backoff } from '../effects/backoff.ts';
import { persist } from '../effects/persist.ts';
import type { BoxStateName, BoxView } from '../events/box-view.ts';
import { type BoxId, commandId, type HostId } from '../kernel/ids.ts';
import type { Clock } from '../kernel/ports.ts';
import { msOf, timeoutMaxMs } from '../kernel/time.ts';
import { type HealthState, healthAfter } from './health-state.ts';
import type { HostBoxes } from './host-boxes.ts';
import { type Finding, type ProbeTools, probe } from './probe.ts';

export interface HealthProberOptions extends ProbeTools {
  readonly hostId: HostId;
  readonly door: CommandDoor;
  readonly boxes: Pick<HostBoxes, 'view'>;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly log: Logger;
}

/** One run of a box. Its failures in a row are counted over whatever holds it meanwhile. */
interface Patient {
  readonly generation: number;
  state: HealthState;
  /** Ends the probing; undefined while the box is held. */
  probing: AbortController | undefined;
}

const upStates: ReadonlySet<BoxStateName> = new Set(['running', 'pausing', 'paused', 'resuming']);
/** Part of the interval by which probes are spread, so that boxes that began together do not stay together. */
const spread = 0.1;

/**
 * Asks each box that has a health check how it is, one probe at a time, for as long as it runs: also when it is unhealthy,
 * but not while it is paused or held for a copy of its disk. Only changes are submitted.
 */
export class HealthProber {
  readonly #options: HealthProberOptions;
  readonly #closing = new AbortController();
  readonly #patients = new Map<BoxId, Patient>();

  constructor(options: HealthProberOptions) {
    this.#options = options;
  }

  /** The newest of a box that is known. */
  hear(view: BoxView): void {
    const { boxId, placement, state, generation, options, health, bracket } = view;
    if (this.#closing.signal.aborted || options.healthCheck === undefined) return;
    const known = this.#patients.get(boxId);
    const isHere = placement?.hostId === this.#options.hostId && upStates.has(state);
    if (known !== undefined && (!isHere || known.generation !== generation)) this.#dismiss(boxId, known);
    if (!isHere) return;
    const patient = this.#patients.get(boxId) ?? this.#admit(view);
    if (state !== 'running' || bracket !== null) this.#hold(patient);
    else {
      patient.state = { ...patient.state, health };
      if (patient.probing === undefined) this.#begin(view, patient, known === undefined);
    }
  }

  close(): void {
    this.#closing.abort();
    for (const patient of this.#patients.values()) this.#hold(patient);
    this.#patients.clear();
  }

  #admit({ boxId, generation, health }: BoxView): Patient {
    const patient: Patient = { generation, state: { health, failures: 0 }, probing: undefined };
    this.#patients.set(boxId, patient);
    return patient;
  }

  #dismiss(boxId: BoxId, patient: Patient): void {
    this.#hold(patient);
    this.#patients.delete(boxId);
  }

  #hold(patient: Patient): void {
    patient.probing?.abort();
    patient.probing = undefined;
  }

  #begin(view: BoxView, patient: Patient, isNew: boolean): void {
    const probing = new AbortController();
    patient.probing = probing;
    // A box that has just come up is asked at once; one that is taken over or let go, at some point of its interval.
    const atOnce = isNew && view.health === 'starting';
    this.#goOn(view, patient, probing.signal, atOnce).catch((err: unknown) => {
      if (probing.signal.aborted) return;
      this.#options.log.error({ err, boxId: view.boxId }, 'the health of a box is not looked after any more');
    });
  }

  async #goOn(view: BoxView, patient: Patient, signal: AbortSignal, atOnce: boolean): Promise<void> {
    const { healthCheck } = view.options;
    if (healthCheck === undefined) return;
    const { random } = this.#options.backoff;
    let waitMs = atOnce ? 0 : healthCheck.intervalMs * random();
    for (;;) {
      await sleep(Math.min(waitMs, timeoutMaxMs), undefined, { signal, ref: false });
      const finding = await this.#probe(view, healthCheck, signal);
      signal.throwIfAborted();
      const upMs = msOf(this.#options.clock.now()) - msOf(view.startedAt ?? view.createdAt);
      const next = healthAfter(patient.state, finding, healthCheck, upMs);
      if (next.health !== patient.state.health) await this.#report(view, next, finding, signal);
      patient.state = next;
      waitMs = healthCheck.intervalMs * (1 + spread * (2 * random() - 1));
    }
  }

  /** What goes wrong with the asking itself says nothing of the box. */
  async #probe(view: BoxView, check: Parameters<typeof probe>[2], signal: AbortSignal): Promise<Finding> {
    try {
      return await probe(this.#options, view, check, signal);
    } catch (err) {
      signal.throwIfAborted();
      this.#options.log.warn({ err, boxId: view.boxId }, 'a box could not be asked how it is');
      return { kind: 'held' };
    }
  }

  async #report(view: BoxView, next: HealthState, finding: Finding, signal: AbortSignal): Promise<void> {
    const { door, boxes, hostId, clock, backoff, log } = this.#options;
    const { boxId, tenant, generation } = view;
    const id = commandId(`${boxId}-${generation}-health-${msOf(clock.now())}`);
    const answer = await persist('the health of a box', { backoff, log, signal }, () =>
      door.submit(
        {
          type: 'box.reportHealth',
          boxId,
          generation,
          health: next.health,
          ...(finding.kind === 'ill' && { failure: finding.failure }),
        },
        {
          tenant,
          actor: { kind: 'system', id: `host/${hostId}` },
          reason:
            finding.kind === 'ill'
              ? `${next.failures} health checks in a row failed`
              : 'a health check succeeded',
          commandId: id,
        },
      ),
    );
    if (answer.kind !== 'refused') return;
    log.debug({ boxId, refusal: answer.refusal }, 'the health of a box was not heard');
    const present = await persist('a box', { backoff, log, signal }, () => boxes.view(boxId));
    if (present !== undefined) this.hear(present);
  }
}
