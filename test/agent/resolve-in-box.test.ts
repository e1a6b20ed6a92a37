import { expect, test } from 'vitest';
import { resolveInBox } from '../../src/agent/resolve-in-box.ts';

test('a path of a request is taken from the home unless it is absolute', () => {
  expect(resolveInBox('a/../b', '/home/box')).toBe('/home/box/b');
  expect(resolveInBox('/etc/', '/home/box')).toBe('/etc');
  for (const bad of ['', 'a\0b', 'x'.repeat(5000)])
    expect(() => resolveInBox(bad, '/home/box')).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    );
});
