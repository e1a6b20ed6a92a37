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
  /** Waiting at once: about a second's work. Past it callers are told to come again, instead of waiting ever longer. */
  waitingMax: 4_096,
} as const;

/**
 * Natural group commit: while one statement is under way, what comes gathers, and the next statement takes all of it. Nobody
 * waits for company longer than the present turn of the event loop lasts, so that all who were answered by one statement
 * and ask again are in the next; a single caller is as fast as without.
 *
 * 1. Items are written in the order of their keys, which is the order in which their rows are locked: two processes whose
 *    statements share rows take them in the same order. Items of the same key keep the order in which they came.
 * 2. A statement that fails because the database is away fails for all of its items. One that the database refuses is
 *    refused because of one of them, and was undone: each is then written by itself, so that only that one fails.
 */
export class AppendBatcher<Item, Reply> {
  readonly #write: Write<Item, Reply>;
  readonly #keyOf: (item: Item) => string;
  #waiting: Waiting<Item, Reply>[] = [];
  #working = false;

  constructor(write: Write<Item, Reply>, keyOf: (item: Item) => string) {
    this.#write = write;
    this.#keyOf = keyOf;
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
      if (!this.#working) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#waiting.length > 0) {
      await nextTurn();
      await this.#settle(this.#take());
    }
    this.#working = false;
  }

  /** Upholds 1; sorting is stable. */
  #take(): readonly Waiting<Item, Reply>[] {
    const batch = this.#waiting.slice(0, bounds.batchMax);
    this.#waiting = this.#waiting.slice(bounds.batchMax);
    const keyed = batch.map((waiting) => ({ key: this.#keyOf(waiting.item), waiting }));
    return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ waiting }) => waiting);
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
