import type { CliOutput } from './io.ts';

const cells = 24;
const intervalMs = 100;

/** A line on a terminal that is written over as the work goes on; nothing where there is no terminal. */
export class ProgressBar {
  readonly #output: CliOutput | undefined;
  readonly #unit: string;
  readonly #began = performance.now();
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(output: CliOutput, unit: string, isWanted: boolean) {
    this.#output = isWanted && output.isTTY === true ? output : undefined;
    this.#unit = unit;
  }

  /** `share`: from 0 to 1. */
  update(share: number, count: number): void {
    const now = performance.now();
    if (this.#output === undefined || now - this.#drawnAt < intervalMs) return;
    this.#drawnAt = now;
    const full = Math.round(share * cells);
    const rate = Math.round(count / ((now - this.#began) / 1000));
    const bar = `${'█'.repeat(full)}${'░'.repeat(cells - full)}`;
    const percent = String(Math.floor(share * 100)).padStart(3);
    this.#output.write(
      `\r\x1b[K${bar} ${percent} %  ${grouped(count)} ${this.#unit}, ${grouped(rate)} a second`,
    );
  }

  /** Takes the line away. */
  end(): void {
    this.#output?.write('\r\x1b[K');
  }
}

/** `12 345 678`. */
export const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ' ');
