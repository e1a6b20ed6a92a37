import { hash } from 'node:crypto';

/**
 * The Merkle tree of RFC 6962, section 2.1, with SHA-256. Hashes are lower-case hexadecimal. It is small enough to be kept
 * here: no kept package for Node has it. Tested against the vectors of Certificate Transparency.
 */

/**
 * Its first byte stays 0. Of the length of the last input: inputs are nearly always as long as the one before, and a view of
 * a larger buffer costs as much as the hash.
 */
let leafScratch = Buffer.alloc(1);
const nodeScratch = Buffer.alloc(65, 1);

/** SHA-256(0x00 ‖ input). */
export const leafHash = (input: Uint8Array): string => {
  if (leafScratch.length !== input.length + 1) leafScratch = Buffer.alloc(input.length + 1);
  leafScratch.set(input, 1);
  return hash('sha256', leafScratch, 'hex');
};

/** SHA-256(0x01 ‖ left ‖ right). */
const nodeHash = (left: string, right: string): string => {
  nodeScratch.write(left, 1, 32, 'hex');
  nodeScratch.write(right, 33, 32, 'hex');
  return hash('sha256', nodeScratch, 'hex');
};

/** A tree that grows leaf by leaf and keeps one hash for each full subtree: at most 53, however many leaves there are. */
export class CompactRange {
  /** Roots of full subtrees, from the widest to the narrowest; their sizes are the ones in the binary form of `#size`. */
  readonly #roots: string[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  append(leaf: string): void {
    let node = leaf;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      const left = this.#roots.pop();
      if (left !== undefined) node = nodeHash(left, node);
    }
    this.#roots.push(node);
    this.#size += 1;
  }

  /** The tree's head; of no leaves it is SHA-256 of nothing. */
  root(): string {
    const last = this.#roots.at(-1);
    if (last === undefined) return hash('sha256', '', 'hex');
    return this.#roots.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
  }
}

/** A whole tree in memory, for paths. A level's last node without a partner goes up as it is, which is RFC 6962's shape. */
export class MerkleTree {
  /** From the leaves up. */
  readonly #levels: (readonly string[])[];

  constructor(leaves: readonly string[]) {
    this.#levels = [leaves];
    for (let level = leaves; level.length > 1; ) {
      level = pairs(level);
      this.#levels.push(level);
    }
  }

  root(): string {
    return this.#levels.at(-1)?.[0] ?? new CompactRange().root();
  }

  /** PATH(index, leaves): the hashes that lead from a leaf to the root, from the bottom up. */
  path(index: number): readonly string[] {
    return this.#levels
      .slice(0, -1)
      .flatMap((level, height) => level[Math.floor(index / 2 ** height) ^ 1] ?? []);
  }
}

const pairs = (level: readonly string[]): readonly string[] => {
  const above: string[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const [left, right] = [level[at] ?? '', level[at + 1]];
    above.push(right === undefined ? left : nodeHash(left, right));
  }
  return above;
};

/** The largest power of two below `size`. */
const splitOf = (size: number): number => 2 ** Math.floor(Math.log2(size - 1));

/** The root that such a path leads to; undefined when no tree of that size has such a path. */
export const rootByPath = (
  leaf: string,
  index: number,
  size: number,
  path: readonly string[],
): string | undefined => {
  if (!(index >= 0 && index < size)) return undefined;
  if (size === 1) return path.length === 0 ? leaf : undefined;
  const [sibling, split] = [path.at(-1), splitOf(size)];
  if (sibling === undefined) return undefined;
  const rest = path.slice(0, -1);
  const inLeft = index < split;
  const below = rootByPath(leaf, inLeft ? index : index - split, inLeft ? split : size - split, rest);
  if (below === undefined) return undefined;
  return inLeft ? nodeHash(below, sibling) : nodeHash(sibling, below);
};
