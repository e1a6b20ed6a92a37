import type { FlagFaults } from './flag-values.ts';

/** As Docker's: Ctrl-P Ctrl-Q. */
export const defaultDetachKeys = 'ctrl-p,ctrl-q';

/** `ctrl-p,ctrl-q`: keys one after the other, each a character or `ctrl-` and one of a-z @ [ \\ ] ^ _. */
export const detachKeysValue = (faults: FlagFaults, text: string): Buffer => {
  const bytes = text.split(',').map((key) => {
    const [, control] = /^ctrl-([a-z@[\\\]^_])$/.exec(key) ?? [];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    return /^[\x21-\x7e]$/.test(key) ? key.charCodeAt(0) : undefined;
  });
  const known = bytes.filter((byte) => byte !== undefined);
  if (known.length !== bytes.length)
    faults.add('--detach-keys', `must be keys such as ${defaultDetachKeys}, not ${JSON.stringify(text)}`);
  return Buffer.from(known);
};

/** Looks for the detach keys in what is typed, which may come in pieces. */
export class DetachKeys {
  readonly #keys: Buffer;
  readonly #detach: () => void;
  /** How many of the keys have been typed and are held back. */
  #typed = 0;

  constructor(keys: Buffer, detach: () => void) {
    this.#keys = keys;
    this.#detach = detach;
  }

  /** What of the input is for the program. Keys that turned out not to be the whole sequence are given late. */
  pass(data: Buffer): Buffer {
    const passed: number[] = [];
    for (const byte of data) {
      if (byte === this.#keys[this.#typed]) {
        this.#typed += 1;
        if (this.#typed < this.#keys.length) continue;
        this.#typed = 0;
        this.#detach();
        break;
      }
      passed.push(...this.#keys.subarray(0, this.#typed));
      this.#typed = byte === this.#keys[0] ? 1 : 0;
      if (this.#typed === 0) passed.push(byte);
    }
    return Buffer.from(passed);
  }
}
