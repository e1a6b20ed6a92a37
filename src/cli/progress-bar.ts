import type { CliOutput } from './io.ts';

const cells = 24;
const intervalMs = 100;

/** A line on a terminal that is written over as the work goes on; nothing where there is no terminal. */
export class ProgressBar {
  readonly #output: CliOutput | undefined;
  readonly #amount: (count: number) => string;
  readonly #began = performance.now();
  #drawnAt = Number.NEGATIVE_INFINITY;

  /** `amount`: a count in words, such as `12 events`. */
  constructor(output: CliOutput, amount: (count: number) => string, isWanted: boolean) {
    this.#output = isWanted && output.isTTY === true ? output : undefined;
    this.#amount = amount;
  }

  /** `share`: from 0 to 1; undefined when nobody knows how much there is. */
  update(share: number | undefined, count: number): void {
    const now = performance.now();
    if (this.#output === undefined || now - this.#drawnAt < intervalMs) return;
    this.#drawnAt = now;
    const rate = Math.round(count / ((now - this.#began) / 1000));
    const bar = share === undefined ? '' : barOf(Math.min(1, share));
    this.#output.write(`\r\x1b[K${bar}${this.#amount(count)}, ${this.#amount(rate)} a second`);
  }

  /** Takes the line away. */
  end(): void {
    this.#output?.write('\r\x1b[K');
  }
}

const barOf = (share: number): string => {
  const full = Math.round(share * cells);
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${'█'.repeat(full)}${'░'.repeat(cells - full)} ${percent} %  `;
};

/** `12 345 678`. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
