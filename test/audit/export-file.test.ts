import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ExportFile } from '../../src/audit/export-file.ts';
import { checkProof, readProof } from '../../src/audit/proof.ts';
import { KeyRing, readPublicKey } from '../../src/audit/public-keys.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';
import { someKey } from '../support/audited.ts';

const vectors = fileURLToPath(new URL('../vectors/', import.meta.url));
const ringOf = (hex: string) => {
  const key = readPublicKey(hex);
  if (key === undefined) throw new Error(`${hex} is no key`);
  return new KeyRing([key], true);
};

let directory: string;
let lines: readonly string[];
let keys: KeyRing;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'boxledger-export-'));
  lines = (await readFile(join(vectors, 'export.ndjson'), 'utf8')).trimEnd().split('\n');
  keys = ringOf(JSON.parse(lines[1] ?? '').publicKey);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const verdictOf = async (text: string) => {
  const file = join(directory, 'export.ndjson');
  await writeFile(file, text);
  return verifyLog(await ExportFile.open(file), { keys });
};
const joined = (changed: readonly string[]) => changed.map((line) => `${line}\n`).join('');
/** Line 0 is the header, 1 the key; events are 2, 3, 4 | 6, 7 | 9, checkpoints 5 and 8, the end is 10. */
const withLine = (index: number, change: (line: string) => string) =>
  joined(lines.map((line, at) => (at === index ? change(line) : line)));

describe('an export that no boxledger has written is refused, with its line', () => {
  const json = 'no JSON';
  test.each<[string, () => string, RegExp]>([
    ['broken JSON', () => withLine(3, (line) => line.slice(0, -5)), /line 4: is not JSON/],
    ['another thing', () => withLine(3, () => '[]'), /line 4: is not a JSON object/],
    ['an unknown line', () => withLine(3, () => '{"kind":"x"}'), /line 4: is no line of an export/],
    [
      'an unknown member',
      () => withLine(3, (line) => line.replace('{', '{"x":1,')),
      /line 4: has an unknown member/,
    ],
    [
      'no place',
      () => withLine(3, (line) => line.replace('"position":"2"', '"position":"-2"')),
      /has no place/,
    ],
    ['no header', () => joined(lines.slice(1)), /line 1: is not the first line/],
    ['a second header', () => joined([lines[0] ?? '', ...lines]), /line 2: is a second first line/],
    ['nothing', () => '', /is not the first line/],
    ['lines after the last', () => joined([...lines, lines[2] ?? '']), /the last line is followed/],
    [
      'a line without depth',
      () => withLine(3, () => `{"kind":"event","x":${'['.repeat(100_000)}`),
      /line 4: is not JSON/,
    ],
    [
      'an envelope without depth',
      () =>
        withLine(3, (line) =>
          line.replace('"data":{', `"data":{"x":${'['.repeat(5_000)}${']'.repeat(5_000)},`),
        ),
      /line 4: nested more than/,
    ],
    [json, () => '\0\0\0', /line 1: is not JSON/],
  ])('%s', async (_what, make, message) => {
    await expect(verdictOf(make())).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringMatching(message),
    });
  });

  test('a line without an end, in bounded memory', async () => {
    const file = join(directory, 'endless.ndjson');
    const stream = createWriteStream(file);
    stream.write(`${lines[0]}\n`);
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    for (let mib = 0; mib < 64; mib += 1) if (!stream.write(chunk)) await once(stream, 'drain');
    await new Promise<void>((resolve) => stream.end(() => resolve()));
    const before = process.memoryUsage().rss;
    await expect(ExportFile.open(file)).rejects.toMatchObject({
      message: expect.stringMatching(/line 2: is longer/),
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * 1024 * 1024);
    await rm(file);
  });
});

describe('an export that was changed is found out', () => {
  test.each<[string, () => string, readonly string[]]>([
    ['an event left out', () => joined(lines.filter((_, at) => at !== 3)), ['missing', 'truncated']],
    [
      'an event twice',
      () => joined(lines.flatMap((line, at) => (at === 3 ? [line, line] : line))),
      ['duplicated', 'inserted', 'truncated'],
    ],
    ['the end cut off', () => joined(lines.slice(0, -1)), ['truncated']],
    ['the end cut off at a checkpoint', () => joined(lines.slice(0, 6)), ['truncated']],
    ['wrong counts', () => withLine(10, (line) => line.replace('"events":6', '"events":5')), ['truncated']],
    ['an actor', () => withLine(3, (line) => line.replace('ada', 'eve')), ['edited']],
    ['a hash', () => withLine(3, (line) => line.replace(/"hash":"./, '"hash":"0')), ['edited']],
    ['a position', () => withLine(7, (line) => line.replace('"position":"5"', '"position":"9"')), ['edited']],
    [
      'two events in the other order',
      () => joined([...lines.slice(0, 3), lines[4] ?? '', lines[3] ?? '', ...lines.slice(5)]),
      ['edited', 'reordered'],
    ],
    [
      'a checkpoint left out',
      () => joined(lines.filter((_, at) => at !== 5)),
      ['inserted', 'missing', 'truncated'],
    ],
    ['a time', () => withLine(5, (line) => line.replace('12:01:01', '12:01:02')), ['forged', 'forked']],
    [
      'a signature',
      () => withLine(8, (line) => line.replace(/"signature":"./, '"signature":"x')),
      ['forged'],
    ],
  ])('%s', async (_what, make, kinds) => {
    const { findings } = await verdictOf(make());
    expect([...new Set(findings.map(({ kind }) => kind))].sort()).toEqual(kinds);
  });

  test('a key that is not the trusted one', async () => {
    const file = join(directory, 'whole.ndjson');
    await writeFile(file, joined(lines));
    const { findings } = await verifyLog(await ExportFile.open(file), {
      keys: ringOf(someKey().publicKeyHex),
    });
    expect(findings.map(({ kind, checkpoint }) => `${kind} ${checkpoint}`)).toEqual(['forged 1', 'forged 2']);
  });
});

describe('a proof', () => {
  const text = () => readFile(join(vectors, 'proof.json'), 'utf8');

  test('of another log proves nothing to who trusts this one’s key', async () => {
    const proof = readProof(await text(), 'p');
    expect(checkProof(proof, ringOf(someKey().publicKeyHex))).toMatch(/not among the keys given/);
  });

  test.each<[string, (proof: string) => string, RegExp]>([
    ['another event', (proof) => proof.replace('"ada"', '"eve"'), /not what its hash says/],
    ['another place', (proof) => proof.replace('"position": "3"', '"position": "4"'), /path does not lead/],
    ['another index', (proof) => proof.replace('"index": 2', '"index": 1'), /path does not lead/],
    [
      'another checkpoint',
      (proof) => proof.replace('"sequence": 1,\n    "index"', '"sequence": 2, "index"'),
      /path does not lead/,
    ],
    ['another count', (proof) => proof.replace('"count": 3', '"count": 4'), /signature is not that/],
  ])('that tells of %s proves nothing', async (_what, change, problem) => {
    const whole = await text();
    const changed = change(whole);
    expect(changed).not.toBe(whole);
    expect(checkProof(readProof(changed, 'p'), keys)).toMatch(problem);
  });

  test.each(['', '{}', '[', 'null', '{"format":"boxledger-proof/1"}'])('%j is none', (proof) => {
    expect(() => readProof(proof, 'p')).toThrow(/p holds no proof/);
  });
});
