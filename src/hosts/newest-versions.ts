import type { BoxId, Version } from '../kernel/ids.ts';

/** Which version of each box is the newest that was heard of. Those of the boxes that were heard of longest ago are forgotten. */
export class NewestVersions {
  readonly #keep: number;
  readonly #versions = new Map<BoxId, Version>();

  constructor(keep: number) {
    this.#keep = keep;
  }

  /** False for what is older than something heard before. */
  admit(boxId: BoxId, version: Version): boolean {
    const newest = this.#versions.get(boxId);
    if (newest !== undefined && version < newest) return false;
    this.#versions.delete(boxId);
    this.#versions.set(boxId, version);
    const [eldest] = this.#versions.keys();
    if (this.#versions.size > this.#keep && eldest !== undefined) this.#versions.delete(eldest);
    return true;
  }
}
