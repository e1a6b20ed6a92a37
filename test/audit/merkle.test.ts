import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CompactRange, leafHash, MerkleTree, rootByPath } from '../../src/audit/merkle.ts';

const leavesOf = (size: number) =>
  Array.from({ length: size }, (_, index) => leafHash(Buffer.from([index % 251, index >> 8])));

test('a tree that grows leaf by leaf has the root of the whole one, and every path leads there', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(), (size, pick) => {
      const leaves = leavesOf(size);
      const range = new CompactRange();
      for (const leaf of leaves) range.append(leaf);
      const tree = new MerkleTree(leaves);
      expect(range.root()).toBe(tree.root());
      const index = pick % size;
      const path = tree.path(index);
      expect(rootByPath(leaves[index] ?? '', index, size, path)).toBe(tree.root());
      expect(rootByPath(leaves[index] ?? '', (index + 1) % (size + 1), size, path)).not.toBe(
        size === 1 ? '' : tree.root(),
      );
      expect(rootByPath(leaves[index] ?? '', index, size, [...path, leaves[0] ?? ''])).not.toBe(tree.root());
      expect(rootByPath(leaves[index] ?? '', index, size, path.slice(1))).not.toBe(
        size === 1 ? '' : tree.root(),
      );
    }),
    { numRuns: 60 },
  );
});

test.each([-1, 3, 1.5, Number.NaN])('there is no leaf %d in a tree of three', (index) => {
  const leaves = leavesOf(3);
  expect(rootByPath(leaves[0] ?? '', index, 3, new MerkleTree(leaves).path(0))).not.toBe(
    new MerkleTree(leaves).root(),
  );
});
