import { posix } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkSymlink, partsOfEntry } from '../../src/tar/entry-paths.ts';

const segment = fc.constantFrom('a', 'b', '..', '.', '', '...', 'x y');
const path = fc.array(segment, { maxLength: 8 }).map((segments) => segments.join('/'));

test('whatever entry is let through lies below the destination', () => {
  fc.assert(
    fc.property(path, (entry) => {
      let parts: readonly string[];
      try {
        parts = partsOfEntry(entry);
      } catch {
        return;
      }
      const place = posix.join('/destination', ...parts);
      expect(place === '/destination' || place.startsWith('/destination/')).toBe(true);
      expect(place).toBe(posix.join('/destination', entry).replace(/(.)\/$/, '$1'));
    }),
  );
});

test('whatever link is let through leads to a place below the destination', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 4 }),
      path,
      (parts, target) => {
        try {
          checkSymlink(parts.join('/'), parts.length - 1, target);
        } catch {
          return;
        }
        const place = posix.resolve(posix.dirname(posix.join('/destination', ...parts)), target);
        expect(place === '/destination' || place.startsWith('/destination/')).toBe(true);
      },
    ),
  );
});
