import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import type { ExecResponse, GuestServiceServer } from '../../src/gen/guest/v1/guest.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { limits } from '../../src/kernel/limits.ts';
import { listing, plainDownload, plainUpload } from '../support/archive.ts';
import { eventually } from '../support/eventually.ts';
import { begin, patience, run, sh } from '../support/guest-exec.ts';
import { type HostileGuest, startHostileGuest } from '../support/hostile-guest.ts';

let hostile: HostileGuest;
const startWith = async (behaviour: Partial<GuestServiceServer>) => {
  hostile = await startHostileGuest(behaviour);
  return hostile.guest;
};
afterEach(() => hostile.stop());

type Output = NonNullable<ExecResponse['output']>;
const started: Output = { $case: 'started', value: { pid: 7 } };
const stdout = (size: number): Output => ({ $case: 'stdout', value: Buffer.alloc(size) });
const exited = (over: object = {}): Output => ({
  $case: 'exited',
  value: {
    exit: { $case: 'code', value: 0 },
    timedOut: false,
    durationMs: 1n,
    stdoutBytes: 0n,
    stderrBytes: 0n,
    ...over,
  },
});

describe('an exec whose guest', () => {
  const outputs: Record<string, readonly (Output | undefined)[]> = {
    'says nothing but the exit': [exited()],
    'sends output before the start': [stdout(1), started, exited()],
    'starts twice': [started, started],
    'ends without an exit': [started, stdout(10)],
    'ends without a word': [],
    'sends an empty chunk': [started, stdout(0), exited()],
    'sends a chunk that is too large': [started, stdout(limits.dataChunkBytes + 1), exited()],
    'took more input than there was': [started, { $case: 'stdinTaken', value: 1 }, exited()],
    'took no input, and says so': [started, { $case: 'stdinTaken', value: 0 }, exited()],
    'sends a message with nothing in it': [started, undefined, exited()],
    'has a pid that is none': [{ $case: 'started', value: { pid: 0 } }],
    'has an exit code that is none': [started, exited({ exit: { $case: 'code', value: 256 } })],
    'has a signal that is none': [started, exited({ exit: { $case: 'signal', value: 'SIGFOO\n' } })],
    'has no exit in its exit': [started, exited({ exit: undefined })],
    'wrote more than a number can say': [started, exited({ stdoutBytes: 2n ** 63n })],
    'skipped more than a number can say': [
      started,
      { $case: 'skipped', value: { bytes: 2n ** 63n } },
      exited(),
    ],
    'lasted longer than a number can say': [started, exited({ durationMs: 2n ** 63n })],
  };

  test.each(Object.entries(outputs))('%s ends with a typed error', async (_name, said) => {
    let cancelled = false;
    const guest = await startWith({
      exec: (call) => {
        call.once('cancelled', () => {
          cancelled = true;
        });
        for (const output of said) call.write({ output });
        if (said.length < 3) call.end();
      },
    });
    const failure = await run(guest, sh('true')).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BoxledgerError);
    expect(failure).toMatchObject({ code: 'Internal', message: expect.stringContaining('protocol') });
    if (said.length >= 3) await eventually('the call is cancelled', () => cancelled);
  });

  test('goes on after the exit is not listened to', async () => {
    const guest = await startWith({
      exec: (call) => {
        for (const output of [started, stdout(3), exited(), stdout(5), started]) call.write({ output });
      },
    });
    expect(await run(guest, sh('true'))).toMatchObject({ stdoutBytes: 3, exit: { kind: 'code', code: 0 } });
  });

  test('floods a reader that stands still is held back, and memory stays bounded', async () => {
    let sent = 0;
    const guest = await startWith({
      exec: (call) => {
        call.write({ output: started });
        const flood = () => {
          while (!call.cancelled && call.write({ output: stdout(limits.dataChunkBytes) })) sent += 1;
        };
        call.on('drain', flood);
        flood();
      },
    });
    const stop = new AbortController();
    const outputs = begin(guest, sh('true'), { signal: stop.signal })[Symbol.asyncIterator]();
    await outputs.next();
    let last = -1;
    while (last !== sent) {
      last = sent;
      for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(200); // of 64 KiB each, both sides together
    stop.abort(new Error('enough'));
    await expect(async () => {
      for (let next = await outputs.next(); next.done !== true; next = await outputs.next());
    }).rejects.toThrow('enough');
  });

  test('sends a message larger than any of ours is not held', async () => {
    const guest = await startWith({
      exec: (call) => {
        call.write({ output: started });
        call.write({ output: stdout(3 * limits.dataChunkBytes) });
      },
    });
    await expect(run(guest, sh('true'))).rejects.toMatchObject({ code: 'ResourceExhausted' });
  });
});

describe('a guest that answers', () => {
  test('a ping with nonsense is not believed, nor asked again', async () => {
    let asked = 0;
    const guest = await startWith({
      ping: (_call, answer) => {
        asked += 1;
        answer(null, { agentVersion: 'x'.repeat(100), pid: 1, hostname: '' });
      },
    });
    await expect(guest.ping(patience())).rejects.toMatchObject({ code: 'Internal' });
    expect(asked).toBe(1);
  });

  test('a quiesce with a novel is not believed', async () => {
    const guest = await startWith({
      quiesce: (_call, answer) => answer(null, { frozen: true, detail: 'x'.repeat(100_000) }),
    });
    await expect(guest.quiesce(patience())).rejects.toMatchObject({ code: 'Internal' });
  });

  test('an upload with more bytes than a number can count is not believed', async () => {
    const guest = await startWith({
      upload: (call, answer) => {
        call.resume();
        call.once('end', () => answer(null, { transferred: { entries: 1n, bytes: 2n ** 60n } }));
      },
    });
    const nothing = (async function* () {
      yield Buffer.alloc(1);
    })();
    await expect(guest.upload('/', plainUpload, nothing, patience())).rejects.toMatchObject({
      code: 'Internal',
    });
  });

  test('a download with a chunk that is empty or too large ends it', async () => {
    const guest = await startWith({
      download: (call) => {
        const value = Buffer.alloc(call.request.path === 'empty' ? 0 : limits.dataChunkBytes + 1);
        call.write({ part: { $case: 'data', value } });
        call.end();
      },
    });
    for (const path of ['empty', 'large'])
      await expect(listing(guest.download(path, plainDownload, patience()))).rejects.toMatchObject({
        code: 'Internal',
      });
  });

  test('a download that ends without saying that it is complete is not believed', async () => {
    const guest = await startWith({
      download: (call) => {
        call.write({ part: { $case: 'data', value: Buffer.alloc(1024) } });
        call.end();
      },
    });
    await expect(listing(guest.download('/', plainDownload, patience()))).rejects.toMatchObject({
      code: 'Internal',
    });
  });

  test('never is left by the signal alone', async () => {
    const guest = await startWith({ thaw: () => undefined });
    await expect(guest.thaw(AbortSignal.timeout(100))).rejects.toMatchObject({ code: 'DeadlineExceeded' });
  });
});

test('what a guest says of an error is cut short and made harmless', async () => {
  const metadata = new Metadata();
  metadata.set('boxledger-error-bin', Buffer.from('garbage'));
  const guest = await startWith({
    thaw: (_call, answer) =>
      answer({ code: status.NOT_FOUND, details: `\u001b[2Jgone\n${'x'.repeat(3000)}`, metadata }),
  });
  const failure: unknown = await guest.thaw(patience()).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'NotFound', faults: [], details: {} });
  const { message } = failure as BoxledgerError;
  expect(message).toMatch(/^\uFFFD\[2Jgone\uFFFDx+$/);
  expect(message.length).toBeLessThanOrEqual(1000);
});

test('a status that gRPC does not know is an internal error', async () => {
  const guest = await startWith({
    thaw: (_call, answer) => answer({ code: 99 as status, details: 'what?' }),
  });
  await expect(guest.thaw(patience())).rejects.toMatchObject({ code: 'Internal' });
});
