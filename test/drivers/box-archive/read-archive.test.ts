import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { readArchive } from '../../../src/drivers/box-archive/read-archive.ts';
import { forge, root } from '../support/forged-archive.ts';

const mebibyte = 1 << 20;
const chunkBytes = 64 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

test('of an archive that is being read no more is kept in memory than a few chunks', async () => {
  const archive = await forge({
    entries: [root, { path: 'disk/file', content: randomBytes(24 * mebibyte).toString('base64') }],
  });
  expect(archive.length).toBeGreaterThan(23 * mebibyte);
  const memory = () => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  /** Each chunk has memory of its own, as what comes from a caller has. */
  const fresh = async function* () {
    for (let at = 0; at < archive.length; at += chunkBytes)
      yield Uint8Array.from(archive.subarray(at, at + chunkBytes));
  };
  let whileReadingBytes = 0;
  const sink = {
    begin: () => undefined,
    entry: async (_: unknown, content: AsyncIterable<Buffer>) => {
      for await (const chunk of content) expect(chunk.length).toBeGreaterThan(0);
      whileReadingBytes = memory();
    },
  };
  await readArchive(
    fresh(),
    { maxBytes: 64 * mebibyte, signal: new AbortController().signal, onBytes: undefined },
    sink,
  );
  expect(whileReadingBytes - archive.length).toBeLessThan(12 * mebibyte);
});
