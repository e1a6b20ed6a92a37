import { setImmediate as nextTurn } from 'node:timers/promises';
import { BoxledgerError } from '../kernel/errors.ts';

/** Writes several items by one statement in one transaction; replies in their order. */
type Write<Item, Reply> = (items: readonly Item[]) => Promise<readonly Reply[]>;

interface Waiting<Item, Reply> {
  readonly item: Item;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

const bounds = {
  /** Written by one statement. */
  batchMax: 64,
  /** Fewer than that are not parted among writers: a statement costs as much as several items. */
  shareMin: 16,
  /** Waiting at once: about a second's work. Past it callers are told to come again, instead of waiting ever longer. */
  waitingMax: 4_096,
} as const;

/**
 * Natural group commit: while statements are under way, what comes gathers, and the next statement takes it. Nobody waits
 * for company longer than the present turn of the event loop lasts, so that all who were answered by one statement and ask
 * again are in the next; a single caller is as fast as without. Of several writers one prepares its statement while the
 * database carries out another's.
 *
 * 1. Items are written in the order of their first keys, which is the order in which their rows are locked: two statements
 *    that share rows take them in the same order.
 * 2. Items that share a key are never with two writers at once, and are written in the order in which they came.
 * 3. Who shares a key with one before is written by a statement of its own after that: it nearly always comes too late,
 *    and what is too late must be looked at alone.
 * 4. A statement that fails because the database is away fails for all of its items. One that the database refuses is
 *    refused because of one of them, and was undone: each is then written by itself, so that only that one fails.
 */
export class AppendBatcher<Item, Reply> {
  readonly #write: Write<Item, Reply>;
  readonly #keysOf: (item: Item) => readonly string[];
  readonly #writersMax: number;
  #waiting: Waiting<Item, Reply>[] = [];
  /** Of the items under way. */
  readonly #busy = new Set<string>();
  #open = 0;
  #writing = 0;

  constructor(write: Write<Item, Reply>, keysOf: (item: Item) => readonly string[], writersMax: number) {
    this.#write = write;
    this.#keysOf = keysOf;
    this.#writersMax = writersMax;
  }

  /** Throws `ResourceExhausted` when too many are waiting: nothing was written then. */
  submit(item: Item): Promise<Reply> {
    if (this.#waiting.length >= bounds.waitingMax)
      return Promise.reject(
        new BoxledgerError('ResourceExhausted', `${bounds.waitingMax} changes wait to be written already`, {
          help: 'Call again later; nothing was changed.',
        }),
      );
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#open < this.#writersMax) void this.#runWriter();
    });
  }

  /** Ends when there is nothing to take: what waits for keys that are busy is taken by the writer that they are busy with. */
  async #runWriter(): Promise<void> {
    this.#open += 1;
    for (;;) {
      await nextTurn();
      const batch = this.#take();
      if (batch.length === 0) break;
      this.#writing += 1;
      if (this.#waiting.length > 0 && this.#open < this.#writersMax) void this.#runWriter();
      for (const part of this.#parted(batch)) await this.#settle(part);
      this.#writing -= 1;
      for (const { item } of batch) for (const key of this.#keysOf(item)) this.#busy.delete(key);
    }
    this.#open -= 1;
  }

  /** Upholds 1 and 2; sorting is stable. Leaves their share to writers that are free as well. */
  #take(): readonly Waiting<Item, Reply>[] {
    const share = Math.ceil(this.#waiting.length / (this.#writersMax - this.#writing));
    const size = Math.min(bounds.batchMax, Math.max(bounds.shareMin, share));
    const batch: { readonly key: string; readonly waiting: Waiting<Item, Reply> }[] = [];
    const left: Waiting<Item, Reply>[] = [];
    const passedOver = new Set<string>();
    for (const waiting of this.#waiting) {
      const keys = this.#keysOf(waiting.item);
      if (batch.length < size && !keys.some((key) => this.#busy.has(key) || passedOver.has(key)))
        batch.push({ key: keys[0] ?? '', waiting });
      else {
        left.push(waiting);
        for (const key of keys) passedOver.add(key);
      }
    }
    this.#waiting = left;
    for (const { waiting } of batch) for (const key of this.#keysOf(waiting.item)) this.#busy.add(key);
    return batch.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ waiting }) => waiting);
  }

  /** Upholds 3: those that have their keys for themselves or come first, and those that come after one of these. */
  #parted(batch: readonly Waiting<Item, Reply>[]): readonly (readonly Waiting<Item, Reply>[])[] {
    const [first, later]: [Waiting<Item, Reply>[], Waiting<Item, Reply>[]] = [[], []];
    const met = new Set<string>();
    for (const waiting of batch) {
      const keys = this.#keysOf(waiting.item);
      (keys.some((key) => met.has(key)) ? later : first).push(waiting);
      for (const key of keys) met.add(key);
    }
    return later.length === 0 ? [first] : [first, later];
  }

  async #settle(batch: readonly Waiting<Item, Reply>[]): Promise<void> {
    try {
      const replies = await this.#write(batch.map(({ item }) => item));
      for (const [index, { resolve }] of batch.entries()) resolve(replies[index] as Reply); // one reply for each
    } catch (error) {
      const refused = error instanceof BoxledgerError && error.code === 'Internal';
      if (refused && batch.length > 1) for (const one of batch) await this.#settle([one]);
      else for (const { reject } of batch) reject(error);
    }
  }
}
