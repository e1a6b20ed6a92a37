import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dataMaxBytes, encodeFrame, encodeWindow, windowBytes } from '../../src/mux/frames.ts';
import { GreetingReader, greet, greetingBytes, magic, nonceBytes } from '../../src/mux/greeting.ts';
import { Mux } from '../../src/mux/mux.ts';
import type { MuxStream } from '../../src/mux/mux-stream.ts';
import { eventually } from '../support/eventually.ts';

/** Two ends of one byte stream, which comes through in pieces of no particular size. */
const pair = (pieceBytes = 7_919): readonly [Duplex, Duplex] => {
  const ends: Duplex[] = [];
  const end = (other: () => Duplex | undefined) =>
    new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        for (let at = 0; at < chunk.length; at += pieceBytes)
          other()?.push(chunk.subarray(at, at + pieceBytes));
        setImmediate(done);
      },
      destroy: (error, done) => {
        if (other()?.destroyed === false) other()?.push(null);
        done(error);
      },
    });
  ends.push(
    end(() => ends[1]),
    end(() => ends[0]),
  );
  for (const each of ends) each.on('error', () => undefined);
  return [ends[0] as Duplex, ends[1] as Duplex]; // both were pushed
};

/** All that comes until its end; an iterator would end the other direction as well. */
const buffer = (stream: Duplex): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.once('end', () => resolve(Buffer.concat(chunks)));
    stream.once('error', reject);
  });
const closing = (stream: Duplex) => new Promise<void>((resolve) => stream.once('close', () => resolve()));

const connected = (pieceBytes?: number) => {
  const [host, guest] = pair(pieceBytes);
  const accepted: MuxStream[] = [];
  const waiting: ((stream: MuxStream) => void)[] = [];
  const mux = new Mux(host);
  new Mux(guest, (stream) => (waiting.shift() ?? ((it) => accepted.push(it)))(stream));
  const next = () =>
    new Promise<MuxStream>((resolve) => {
      const there = accepted.shift();
      if (there === undefined) waiting.push(resolve);
      else resolve(there);
    });
  const open = async () => {
    const [coming, stream] = [next(), mux.open()];
    if (stream === undefined) throw new Error('no stream');
    return [stream, await coming] as const;
  };
  return { host, guest, mux, open };
};

test.each([1, 13, 7_919, 1 << 20])(
  'bytes go both ways and come to an end, in pieces of %d bytes',
  async (piece) => {
    const { open } = connected(piece);
    const bytes = randomBytes(piece === 1 ? 20_000 : 3 << 20);
    const [near, far] = await open();
    near.end(bytes);
    expect((await buffer(far)).equals(bytes)).toBe(true);
    far.end(bytes.subarray(0, 1_000));
    expect((await buffer(near)).equals(bytes.subarray(0, 1_000))).toBe(true);
  },
);

test('a stream that nobody reads holds up no other, and no more than its window is held of it', async () => {
  const { open } = connected();
  const [slow, unread] = await open();
  let written = 0;
  slow.on('error', () => undefined);
  const fill = () => {
    while (written < 8 << 20 && slow.write(Buffer.alloc(64 * 1024))) written += 64 * 1024;
  };
  slow.on('drain', fill);
  fill();
  const [near, far] = await open();
  near.end('through');
  expect((await buffer(far)).toString()).toBe('through');
  expect(written).toBeLessThan(windowBytes + (256 << 10));
  expect(unread.readableLength).toBeLessThanOrEqual(windowBytes);
});

test('a stream that is given up ends on the other side, and its number is never used again', async () => {
  const { open, mux } = connected();
  const [near, far] = await open();
  near.destroy();
  await closing(far);
  const [again, other] = await open();
  again.end('x');
  expect((await buffer(other)).toString()).toBe('x');
  expect(mux.open()).toBeDefined();
});

test('what came to its end before a reset is still read, and nothing can be written any more', async () => {
  const { open } = connected();
  const [near, far] = await open();
  far.end('all of it');
  await new Promise<void>((resolve) => far.once('finish', () => resolve()));
  far.destroy(); // before the other side has said its last
  await eventually('the reset to come', () => near.readableLength > 0);
  near.on('error', () => undefined);
  expect((await buffer(near)).toString()).toBe('all of it');
  await eventually('the stream to go', () => near.destroyed);
});

test('a guest that sends small frames and reads nothing makes the host hold little', async () => {
  let held = 0;
  const port = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer) => {
      held += chunk.length; // never taken: the guest does not read
    },
  });
  port.on('error', () => undefined);
  const stream = new Mux(port).open();
  stream?.resume();
  for (let sent = 0; sent < 100_000 && !port.destroyed; sent += 1) {
    port.push(encodeFrame('data', 1, Buffer.alloc(1)));
    if (sent % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  expect(held + port.writableLength).toBeLessThan(1_000);
});

test('when the byte stream is gone, so are all of its streams', async () => {
  const { open, host, mux } = connected();
  const [near, far] = await open();
  const closed = Promise.all([closing(near), closing(far)]);
  host.destroy();
  await closed;
  expect(mux.open()).toBeUndefined();
});

const wrong: readonly (readonly [string, readonly Buffer[]])[] = [
  ['no frame', [Buffer.alloc(64, 0xff)]],
  ['one byte that begins none', [Buffer.alloc(1, 0xff)]],
  ['a length beyond all bounds', [Buffer.from('0200000001ffffffff', 'hex')]],
  [
    'more data than a frame may have',
    [Buffer.concat([Buffer.from([2, 0, 0, 0, 1, 0, 0, 128, 1]), Buffer.alloc(dataMaxBytes)])],
  ],
  ['a window of three bytes', [Buffer.from('050000000100000003000000', 'hex')]],
  ['data for a stream that was never opened', [encodeFrame('data', 77, Buffer.from('x'))]],
  ['a stream that the guest opens', [encodeFrame('open', 2)]],
  [
    'more than the window',
    Array.from({ length: 9 }, () => encodeFrame('data', 1, Buffer.alloc(dataMaxBytes))),
  ],
  ['data after the end', [encodeFrame('end', 1), encodeFrame('data', 1, Buffer.from('x'))]],
  ['a window that was not used up', [encodeWindow(1, 1)]],
];
test.each(wrong)('a guest that sends %s is cut off, and nothing else happens', async (_name, frames) => {
  const [host, guest] = pair();
  const mux = new Mux(host);
  const stream = mux.open();
  const closed = closing(host);
  for (const frame of frames) guest.write(frame);
  await closed;
  expect(stream?.destroyed).toBe(true);
});

test('whatever a guest sends, the host holds little of it and never fails', async () => {
  const frame = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(
        fc.constantFrom('open', 'data', 'end', 'reset', 'window'),
        fc.nat(4),
        fc.uint8Array({ maxLength: 64 }),
      )
      .map(([type, stream, bytes]) => encodeFrame(type as 'data', stream, bytes)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { maxLength: 60 }),
      fc.integer({ min: 1, max: 50 }),
      async (frames, piece) => {
        const [host, guest] = pair(piece);
        const mux = new Mux(host);
        const streams = [mux.open(), mux.open()];
        for (const each of frames) guest.write(each);
        await eventually('all of it to be taken', () => guest.writableLength === 0);
        for (const stream of streams) expect(stream?.readableLength ?? 0).toBeLessThanOrEqual(windowBytes);
        host.destroy();
        await eventually('its streams to go', () => streams.every((stream) => stream?.destroyed === true));
      },
    ),
    { numRuns: 60 },
  );
});

test('a greeting is found behind what an earlier connection left, and what follows it is kept', async () => {
  const [host, guest] = pair(5);
  const nonce = randomBytes(nonceBytes);
  const greeted = greet(host, nonce, AbortSignal.timeout(5_000));
  const heard = new GreetingReader();
  guest.write(Buffer.concat([randomBytes(3_000), magic, randomBytes(nonceBytes)])); // of another connection
  const found = await new Promise<NonNullable<ReturnType<GreetingReader['read']>>>((resolve) => {
    guest.on('data', (chunk: Buffer) => {
      const read = heard.read(chunk);
      if (read !== undefined) resolve(read);
    });
  });
  expect(found.greeting).toEqual(Buffer.concat([magic, nonce]));
  guest.write(Buffer.concat([found.greeting, Buffer.from('and on')]));
  await greeted;
  host.resume();
  const [first] = (await once(host, 'data')) as [Buffer];
  expect('and on'.startsWith(first.toString())).toBe(true);
});

test('a guest that answers everything but the greeting is given up', async () => {
  const [host, guest] = pair(1 << 20);
  const greeted = greet(host, randomBytes(nonceBytes), AbortSignal.timeout(10_000));
  for (let sent = 0; sent < 5; sent += 1) guest.write(randomBytes(1 << 20));
  await expect(greeted).rejects.toMatchObject({ code: 'Unavailable' });
});

test('a guest that says nothing is waited for as long as the signal lets', async () => {
  const [host] = pair();
  const reason = new Error('enough waited');
  await expect(greet(host, randomBytes(nonceBytes), AbortSignal.abort(reason))).rejects.toBe(reason);
});

test('of two greetings in a row the later one counts', () => {
  const [one, two] = [randomBytes(nonceBytes), randomBytes(nonceBytes)];
  const found = new GreetingReader().read(Buffer.concat([magic, one, magic, two, Buffer.from('rest')]));
  expect(found).toEqual({ greeting: Buffer.concat([magic, two]), rest: Buffer.from('rest') });
  expect(found?.greeting.length).toBe(greetingBytes);
});
