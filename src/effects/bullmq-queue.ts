import { setTimeout as sleep } from 'node:timers/promises';
import type { Job, JobsOptions, Processor, Queue, QueueOptions, Worker, WorkerOptions } from 'bullmq';
import { DelayedError } from 'bullmq';
import type { Logger } from 'pino';
import { z } from 'zod';
import { effectIdSchema } from '../events/schemas.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { EffectId, HostId } from '../kernel/ids.ts';
import type { DeliveryAnswer, DeliveryLoop, EffectQueue } from './effect-queue.ts';
import type { DueEffect } from './outbox.ts';

/**
 * The effect queue on BullMQ. What carries the jobs (Postgres or Redis) is a `QueueCarrier`; everything else is the same.
 *
 * 1. A job is an effect's id and nothing more; the outbox knows the rest.
 * 2. A job is removed as soon as it is answered, so that the same effect can be enqueued again, and nothing is kept.
 * 3. BullMQ retries nothing: one attempt. Retries, back-off and deadlines belong to the runner and the outbox.
 * 4. A host has one delivery loop. Jobs that are active when it begins belong to one that died, and are delivered again at
 *    once; should a loop die unseen, its jobs come again when their lock has run out.
 */

/** The only difference between the backends. */
export interface QueueCarrier {
  queue(name: string, options: Omit<QueueOptions, 'connection'>): JobQueue;
  worker(name: string, processor: Processor, options: Omit<WorkerOptions, 'connection'>): JobWorker;
  /** So many jobs are added one by one; more in bulk, where that is cheaper. */
  readonly singlesMax: number;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** What is used of BullMQ's classes, whose types differ with the backend. */
export type JobQueue = Pick<
  Queue,
  'add' | 'addBulk' | 'getActiveCount' | 'getJobs' | 'getJobCounts' | 'obliterate' | 'close'
> & { on(event: 'error', listener: (error: Error) => void): unknown };
export type JobWorker = Pick<Worker, 'close'> & {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<unknown>;
};

export interface BullmqQueueOptions {
  readonly log: Logger;
  /** How long a job stays with a loop that gives no sign of life. Too short is harmless: claims decide who works. */
  readonly lockMs?: number;
  /** How often jobs are looked for whose loop gave no sign of life. */
  readonly stalledCheckMs?: number;
  /** After this time without an answer from the queue, enqueueing has failed. */
  readonly enqueueTimeoutMs?: number;
}

const jobSchema = z.object({ effectId: effectIdSchema });
const jobName = 'effect';
const jobOptions: JobsOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true };
/** A delivery that was cut short by `close` comes again after this time. */
const cutShortDelayMs = 100;

/** Between two tries to put a job off while the queue is away. */
const postponeRetryMs = 250;

/** How many deaths of its loops a job survives: as many as the backends can count to, or nearly. */
const stalledMax = 1_000_000_000;

const nameOf = (hostId: HostId) => `effects-${hostId}`;
/** The braces keep all keys of one queue in one slot of a Redis Cluster. */
const prefixOf = (hostId: HostId) => `{boxledger-${hostId}}`;

export class BullmqEffectQueue implements EffectQueue {
  readonly #carrier: QueueCarrier;
  readonly #log: Logger;
  readonly #lockMs: number;
  readonly #stalledCheckMs: number;
  readonly #enqueueTimeoutMs: number;
  readonly #queues = new Map<HostId, JobQueue>();
  readonly #loops = new Set<DeliveryLoop>();
  #closed = false;

  constructor(carrier: QueueCarrier, options: BullmqQueueOptions) {
    this.#carrier = carrier;
    this.#log = options.log;
    this.#lockMs = options.lockMs ?? 5_000;
    this.#stalledCheckMs = options.stalledCheckMs ?? 2_500;
    this.#enqueueTimeoutMs = options.enqueueTimeoutMs ?? 5_000;
  }

  async enqueue(effects: readonly DueEffect[]): Promise<void> {
    const byHost = new Map<HostId, DueEffect[]>();
    for (const effect of effects) {
      const ofHost = byHost.get(effect.hostId);
      if (ofHost === undefined) byHost.set(effect.hostId, [effect]);
      else ofHost.push(effect);
    }
    const added = [...byHost].map(([hostId, due]) =>
      this.#asking(hostId, (queue) => addTo(queue, due, this.#carrier.singlesMax)),
    );
    const failed = (await Promise.allSettled(added)).find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async consume(
    hostId: HostId,
    concurrency: number,
    deliver: (effectId: EffectId) => Promise<DeliveryAnswer>,
  ): Promise<DeliveryLoop> {
    await this.#takeOver(hostId);
    const underWay = new Set<() => void>();
    const closing = new AbortController();
    const worker = this.#carrier.worker(
      nameOf(hostId),
      async (job, token) => {
        const effectId = this.#parse(job);
        if (effectId === undefined) return;
        const answer = await untilCutShort(deliver(effectId), underWay);
        if (answer.kind === 'done') return;
        await this.#postpone(job, token, answer.delayMs, closing.signal);
        throw new DelayedError();
      },
      {
        concurrency,
        prefix: prefixOf(hostId),
        lockDuration: this.#lockMs,
        stalledInterval: this.#stalledCheckMs,
        maxStalledCount: stalledMax,
        runRetryDelay: 1_000,
        // For jobs that somebody else added; ours say so themselves.
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    worker.on('error', this.#reporter(hostId, 'delivery loop'));
    try {
      await worker.waitUntilReady();
    } catch (error) {
      await worker.close(true);
      throw unavailable(error);
    }
    const loop: DeliveryLoop = {
      close: async (timeoutMs) => {
        const timer = setTimeout(() => {
          for (const cutShort of underWay) cutShort();
          closing.abort();
        }, timeoutMs);
        await worker.close();
        clearTimeout(timer);
        this.#loops.delete(loop);
      },
    };
    this.#loops.add(loop);
    return loop;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#loops].map((loop) => loop.close(0)));
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#queues.clear();
    this.#closed = true;
    await this.#carrier.close();
  }

  /** Number of jobs that the queue holds for a host, in whatever state. */
  async depth(hostId: HostId): Promise<number> {
    return this.#asking(hostId, async (queue) => {
      const counts = await queue.getJobCounts();
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    });
  }

  /** Upholds 4: BullMQ would wait for the lock of the dead to run out. */
  async #takeOver(hostId: HostId) {
    await this.#asking(hostId, async (queue) => {
      if ((await queue.getActiveCount()) === 0) return;
      const left = await queue.getJobs(['active', 'waiting', 'delayed']);
      await queue.obliterate({ force: true });
      const effects = left.flatMap((job) => this.#parse(job) ?? []);
      await addTo(
        queue,
        effects.map((effectId) => ({ effectId, delayMs: 0 })),
        this.#carrier.singlesMax,
      );
    });
  }

  /**
   * Insists while the queue is away: a job that is left active, because of an outage that its delivery suffered from too, is
   * not delivered again before its lock has run out, whoever adds it again.
   */
  async #postpone(job: Job, token: string | undefined, delayMs: number, closing: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await job.moveToDelayed(Date.now() + Math.max(1, Math.ceil(delayMs)), token);
      } catch (err) {
        if (isAnswer(err) || closing.aborted) throw err;
        this.#log.warn(
          { err, jobId: job.id },
          'effect queue: a job could not be postponed; it is tried again',
        );
      }
      await sleep(postponeRetryMs, undefined, { signal: closing }).catch(() => undefined); // one last try
    }
  }

  #parse(job: Job): EffectId | undefined {
    const parsed = jobSchema.safeParse(job.data);
    if (parsed.success) return parsed.data.effectId;
    this.#log.error({ jobId: job.id, fault: parsed.error.message }, 'effect queue: dropped a malformed job');
    return undefined;
  }

  /** A queue that failed to answer is forgotten: BullMQ remembers a failed connection for ever. */
  async #asking<T>(hostId: HostId, ask: (queue: JobQueue) => Promise<T>): Promise<T> {
    const queue = this.#queueOf(hostId);
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the effect queue did not answer within ${this.#enqueueTimeoutMs} ms`)),
        this.#enqueueTimeoutMs,
      );
    });
    try {
      return await Promise.race([ask(queue), tooLate]);
    } catch (error) {
      if (this.#queues.get(hostId) === queue) this.#queues.delete(hostId);
      queue.close().catch((err: unknown) => this.#log.warn({ err, hostId }, 'effect queue: producer'));
      throw unavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A closed queue still hears of its connections, and what happens to those is of no interest any more. */
  #reporter(hostId: HostId, side: 'delivery loop' | 'producer') {
    return (err: Error) => {
      if (!this.#closed) this.#log.warn({ err, hostId }, `effect queue: ${side}`);
    };
  }

  #queueOf(hostId: HostId): JobQueue {
    const known = this.#queues.get(hostId);
    if (known !== undefined) return known;
    const queue = this.#carrier.queue(nameOf(hostId), {
      prefix: prefixOf(hostId),
      streams: { events: { maxLen: 100 } },
    });
    queue.on('error', this.#reporter(hostId, 'producer'));
    this.#queues.set(hostId, queue);
    return queue;
  }
}

/** Adds effects to their host's queue. */
const addTo = async (
  queue: JobQueue,
  effects: readonly Pick<DueEffect, 'effectId' | 'delayMs'>[],
  singlesMax: number,
): Promise<void> => {
  const jobs = effects.map(({ effectId, delayMs }) => ({
    name: jobName,
    data: { effectId },
    opts: { ...jobOptions, jobId: effectId, delay: Math.max(0, Math.ceil(delayMs)) },
  }));
  if (jobs.length > singlesMax) await queue.addBulk(jobs);
  else await Promise.all(jobs.map(({ name, data, opts }) => queue.add(name, data, opts)));
};

/** BullMQ's word that the job is not as it was thought to be, such as gone: a number. Anything else is an outage. */
const isAnswer = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'number';

/** The delivery's answer, or `later` once the function that is among `underWay` meanwhile is called. */
const untilCutShort = async (
  delivery: Promise<DeliveryAnswer>,
  underWay: Set<() => void>,
): Promise<DeliveryAnswer> => {
  let cutShort: () => void = () => undefined;
  const cut = new Promise<DeliveryAnswer>((resolve) => {
    cutShort = () => resolve({ kind: 'later', delayMs: cutShortDelayMs });
  });
  underWay.add(cutShort);
  try {
    return await Promise.race([delivery, cut]);
  } finally {
    underWay.delete(cutShort);
  }
};

/** Whatever goes wrong between us and the queue, the queue could not be had: the outbox remembers for it. */
export const unavailable = (cause: unknown): BoxledgerError =>
  cause instanceof BoxledgerError
    ? cause
    : new BoxledgerError('Unavailable', 'the effect queue cannot be reached', {
        help: 'Nothing is lost: effects stay in the outbox and are enqueued when the queue answers again.',
        cause,
      });
