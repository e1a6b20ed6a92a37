import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeBlock,
  type EntryHead,
  encodeHead,
  parseRecords,
  tarBlockBytes,
} from '../../../src/drivers/box-archive/tar-head.ts';

/** As a reader does it: an extended header, if there is one, then the entry's own. */
const decode = (bytes: Buffer): unknown => {
  const first = decodeBlock(bytes.subarray(0, tarBlockBytes), new Map());
  if (first?.kind !== 'extended') {
    expect(bytes.length).toBe(tarBlockBytes);
    return first;
  }
  const records = parseRecords(bytes.subarray(tarBlockBytes, tarBlockBytes + first.sizeBytes));
  return decodeBlock(bytes.subarray(-tarBlockBytes), records);
};

const name = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom('a', 'é', '\n', ' ', '=', '\\', '名', '%'),
    minLength: 1,
    maxLength: 80,
  }),
  fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 90, maxLength: 160 }),
);
const path = fc
  .array(
    name.filter((it) => !/[/\0]/.test(it)),
    { minLength: 1, maxLength: 6 },
  )
  .map((names) => `disk/${names.join('/')}`);
const common = {
  path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtimeMs: fc.oneof(
    fc.integer({ min: -1e12, max: 4e12 }),
    fc.integer({ min: -1e6, max: 1e6 }).map((seconds) => seconds * 1000),
  ),
};
const head: fc.Arbitrary<EntryHead> = fc.oneof(
  fc.record({
    ...common,
    kind: fc.constant('file' as const),
    sizeBytes: fc.oneof(fc.nat(), fc.maxSafeNat()),
    target: fc.constant(''),
  }),
  fc.record({
    ...common,
    kind: fc.constantFrom('directory' as const, 'fifo' as const),
    sizeBytes: fc.constant(0),
    target: fc.constant(''),
  }),
  fc.record({
    ...common,
    kind: fc.constantFrom('symlink' as const, 'link' as const),
    sizeBytes: fc.constant(0),
    target: path,
  }),
);

test('whatever a disk can hold is read as it was written', () => {
  fc.assert(
    fc.property(head, (written) => {
      expect(decode(encodeHead(written))).toEqual(written);
    }),
    { numRuns: 2000 },
  );
});

test('a block of zeros is no entry', () => {
  expect(decodeBlock(Buffer.alloc(tarBlockBytes), new Map())).toBeUndefined();
});

test.each([
  ['a length that is too short', '8 path=abc\n'],
  ['a length beyond the end', '99 path=abc\n'],
  ['no length', 'path=abc\n'],
  ['no line feed', '12 path=abcd'],
  ['no key', '7 =abc\n'],
  ['the same twice', '12 path=abc\n12 path=abd\n'],
  ['a key of another format', '18 GNU.sparse=abc\n'],
])('an extended header is refused for %s', (_, body) => {
  expect(() => parseRecords(Buffer.from(body))).toThrow(/not a good box archive/);
});
