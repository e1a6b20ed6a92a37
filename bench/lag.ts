import type { EventStore } from '../src/commands/event-store.ts';
import { LogFeed } from '../src/commands/log-feed.ts';
import { LogTail } from '../src/commands/log-tail.ts';
import { assert } from '../src/kernel/assert.ts';
import type { CommandId } from '../src/kernel/ids.ts';
import { openStore, type Store } from '../src/store/store.ts';
import { type Benchmark, inRounds, type Setting } from './benchmark.ts';
import { type Measurement, measure, summary, whole } from './callers.ts';
import type { Figure } from './figure.ts';
import { prepareCommands } from './own-appends.ts';
import { pace } from './paced.ts';
import { latencyOf } from './side-by-side.ts';

const p99MaxMs = 50;
/** As a plane's. */
const tailOptions = { pollIntervalMs: 500, keep: 2_000 };

/**
 * Half of the commands that can be committed are, and two followers read along: one on the store that appends, as in the server
 * that was asked, and one on a store of its own, which hears of appends as another server does, by notification.
 */
export const benchLag: Benchmark = async (setting) => {
  const [near, far] = [await openStore(setting), await openStore(setting)];
  await near.migrate();
  const callers = setting.callerCounts.at(-1);
  assert(callers !== undefined, 'somebody asks');
  const followers = [new Follower(near), new Follower(far)];
  const events = noting(near.events, (id) => followers.map((follower) => follower.expect(id)));
  const operation = prepareCommands({ ...near, events });
  const full = await measure({ ...setting, callers, operation });
  const perSecond = (full.get(whole)?.perSecond ?? Number.NaN) / 2;
  for (const follower of followers) await follower.start();
  const rounds = await inRounds(setting, async () => {
    await pace({ ...setting, callers, perSecond, operation });
    return Promise.all(followers.map((follower) => follower.sawAll(setting)));
  });
  for (const follower of followers) await follower.stop();
  await near.close();
  await far.close();
  return ['the same server', 'another server'].map((where, index): Figure => {
    const series = rounds.flatMap((measured) => measured[index] ?? []);
    return {
      benchmark: 'lag',
      subject: `p99 until seen by ${where}, at ${perSecond.toFixed(0)} /s`,
      callers,
      unit: 'ms',
      rounds: series.map(({ p99Ms }) => p99Ms),
      latency: latencyOf(series),
      target: { atMost: p99MaxMs },
    };
  });
};

/** Tells of each append before it is asked for. */
const noting = (events: EventStore, note: (id: CommandId) => void): EventStore => ({
  load: (streamId) => events.load(streamId),
  answerOf: (tenant, id, digest) => events.answerOf(tenant, id, digest),
  append: (request) => {
    note(request.command.id);
    return events.append(request);
  },
});

/** Reads the log as a client's watch does, and times how long each append takes to get here. */
class Follower {
  readonly #tail: LogTail;
  readonly #feed: LogFeed;
  readonly #stopping = new AbortController();
  readonly #askedAtMs = new Map<CommandId, number>();
  #following: Promise<void> = Promise.resolve();
  #started = false;
  #lagsMs: number[] = [];
  #seen: () => void = () => undefined;
  #failure: unknown;

  constructor({ log }: Store) {
    this.#tail = new LogTail(log, {
      ...tailOptions,
      onError: (error) => {
        this.#failure = error;
      },
    });
    this.#feed = new LogFeed(log, this.#tail);
  }

  /** Nothing is expected before the start. */
  expect(id: CommandId): void {
    if (this.#started) this.#askedAtMs.set(id, performance.now());
  }

  /** Resolves when the follower stands at the end of the log. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#following = this.#follow(() => {
        this.#started = true;
        resolve();
      });
      this.#following.catch(reject);
    });
  }

  async #follow(caughtUp: () => void): Promise<void> {
    for await (const item of this.#feed.follow({ from: 'now', signal: this.#stopping.signal })) {
      if (item.kind === 'caught-up') {
        caughtUp();
        continue;
      }
      const askedAtMs = this.#askedAtMs.get(item.event.commandId);
      if (askedAtMs === undefined) continue;
      this.#askedAtMs.delete(item.event.commandId);
      this.#lagsMs.push(performance.now() - askedAtMs);
      if (this.#askedAtMs.size === 0) this.#seen();
    }
  }

  /** What the appends since the last call came to, once all of them have been seen. */
  async sawAll({ seconds }: Setting): Promise<Measurement> {
    const seen = new Promise<void>((resolve) => {
      this.#seen = resolve;
    });
    if (this.#askedAtMs.size > 0) await Promise.race([seen, this.#following]); // the latter when it fails
    if (this.#failure !== undefined) throw this.#failure;
    const lagsMs = this.#lagsMs;
    this.#lagsMs = [];
    return summary(lagsMs, seconds);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    this.#tail.stop();
  }
}
