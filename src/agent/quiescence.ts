/** What a guest does to its file systems so that a copy of its disk is whole. */
export interface FileSystemFreezer {
  /** `frozen`: nothing is written until `thaw`. `detail`: what was done or why not, in one sentence. */
  freeze(): Promise<{ readonly frozen: boolean; readonly detail: string }>;
  /** Nothing frozen is success. */
  thaw(): Promise<void>;
}

/** For a guest whose file systems belong to its host: freezing them would freeze the host. */
export const flushOnly = (flush: () => Promise<boolean>): FileSystemFreezer => ({
  freeze: async () => ({
    frozen: false,
    detail: (await flush())
      ? 'The file system was flushed, but not frozen: it belongs to the host.'
      : 'The file system was neither frozen, as it belongs to the host, nor flushed: there is no sync, or it took too long.',
  }),
  thaw: async () => undefined,
});

/** Between two tries of a thaw that fails. */
const thawAgainMs = 1_000;

/**
 * Holds the file systems frozen between a Quiesce and its Thaw, and never longer than was agreed: whoever asked may have
 * died, and a box frozen for ever is worse than a copy that is not whole.
 */
export class Quiescence {
  readonly #freezer: FileSystemFreezer;
  #watchdog: NodeJS.Timeout | undefined;
  /** Freezes and thaws, one after the other in the order of their calls. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(freezer: FileSystemFreezer) {
    this.#freezer = freezer;
  }

  /**
   * Again while frozen: the watchdog starts afresh. It watches from before the freeze: one that fails may have frozen
   * something all the same, as may an earlier one.
   */
  quiesce(thawAfterMs: number): Promise<{ readonly frozen: boolean; readonly detail: string }> {
    return this.#inTurn(() => {
      this.#watch(thawAfterMs);
      return this.#freezer.freeze();
    });
  }

  /** One that fails is tried again, whether anybody asks or not. */
  thaw(): Promise<void> {
    return this.#inTurn(async () => {
      this.#watch(thawAgainMs);
      await this.#freezer.thaw();
      clearTimeout(this.#watchdog);
    });
  }

  #watch(forMs: number): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#thawUnasked(), forMs);
  }

  #thawUnasked(): void {
    this.thaw().catch((error: unknown) => console.error('the watchdog could not thaw:', error));
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined); // its own caller hears of it
    return result;
  }
}
