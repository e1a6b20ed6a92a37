import { expect, test } from 'vitest';
import { NewestVersions } from '../../src/hosts/newest-versions.ts';
import { version } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';

test('a version older than one before is not admitted, the same one is', () => {
  const newest = new NewestVersions(10);
  const [one, other] = [randomIds.boxId(), randomIds.boxId()];
  expect([3n, 2n, 3n, 4n, 3n].map((it) => newest.admit(one, version(it)))).toEqual([
    true,
    false,
    true,
    true,
    false,
  ]);
  expect(newest.admit(other, version(1n))).toBe(true);
});

test('the box that was heard of longest ago is forgotten first', () => {
  const newest = new NewestVersions(2);
  const [first, second, third] = [randomIds.boxId(), randomIds.boxId(), randomIds.boxId()];
  for (const boxId of [first, second, first, third]) newest.admit(boxId, version(5n));
  expect(newest.admit(first, version(4n))).toBe(false);
  expect(newest.admit(second, version(4n))).toBe(true);
});
