/** What has been opened, to be closed again in the opposite order, each even if another fails. */
export class Teardown {
  readonly #closers: { readonly what: string; readonly close: () => unknown }[] = [];
  readonly #onError: (error: unknown, what: string) => void;

  constructor(onError: (error: unknown, what: string) => void) {
    this.#onError = onError;
  }

  add(what: string, close: () => unknown): void {
    this.#closers.push({ what, close });
  }

  async run(): Promise<void> {
    for (const { what, close } of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        this.#onError(error, what);
      }
    }
  }
}
