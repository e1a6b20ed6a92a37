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

  /** Again while frozen: the watchdog starts afresh. */
  quiesce(thawAfterMs: number): Promise<{ readonly frozen: boolean; readonly detail: string }> {
    return this.#inTurn(async () => {
      const result = await this.#freezer.freeze();
      clearTimeout(this.#watchdog);
      if (result.frozen) this.#watchdog = setTimeout(() => this.#thawUnasked(), thawAfterMs);
      return result;
    });
  }

  thaw(): Promise<void> {
    return this.#inTurn(async () => {
      clearTimeout(this.#watchdog);
      await this.#freezer.thaw();
    });
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
