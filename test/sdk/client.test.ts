import { Metadata, status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import type { BoxServiceServer } from '../../src/gen/boxledger/v1/box_service.ts';
import type { EventServiceServer } from '../../src/gen/boxledger/v1/event_service.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import type { ExecOutput } from '../../src/sdk/attached-exec.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { eventually } from '../support/eventually.ts';
import { aBox, anEvent, type ScriptedServer, startServer, wireRefusal } from './scripted-server.ts';

const open: { client?: Client; server?: ScriptedServer } = {};

afterEach(async () => {
  open.client?.close();
  await open.server?.stop();
});

const serve = async (
  script: Partial<BoxServiceServer & EventServiceServer>,
  options: { token?: string; actor?: string } = {},
): Promise<Client> => {
  open.server = await startServer(script);
  open.client = connect({ address: open.server.address, ...options });
  return open.client;
};

const failureOf = async (call: Promise<unknown>): Promise<BoxledgerError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof BoxledgerError)) throw new Error(`no BoxledgerError but ${String(error)}`);
  return error;
};

test('a change carries the caller’s token, name, command id, version and reason', async () => {
  const seen: unknown[] = [];
  const client = await serve(
    {
      start: ({ request, metadata }, answer) => {
        seen.push(
          request.mutation,
          request.wait,
          metadata.get('authorization'),
          metadata.get('x-boxledger-actor'),
        );
        answer(null, { box: aBox() });
      },
    },
    { token: 'secret', actor: 'ann' },
  );
  const box = await client.start('web', {
    commandId: 'c-1',
    expectedVersion: 2n,
    reason: 'because',
    wait: false,
  });
  expect(box.state).toBe('running');
  expect(seen).toMatchObject([
    { commandId: 'c-1', expectedVersion: 2n, reason: 'because' },
    false,
    ['Bearer secret'],
    ['ann'],
  ]);
});

test('a change that finds the server unavailable is repeated with the same command id', async () => {
  const ids: (string | undefined)[] = [];
  const client = await serve({
    stop: ({ request }, answer) => {
      ids.push(request.mutation?.commandId);
      if (ids.length < 3)
        answer(wireRefusal(status.UNAVAILABLE, { code: 'Unavailable', message: 'database gone' }));
      else answer(null, { box: aBox({ state: 'stopped' }) });
    },
  });
  expect((await client.stop('web')).state).toBe('stopped');
  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(1);
  expect(ids[0]).toMatch(/^[\x21-\x7e]{1,128}$/);
});

test('two changes never share a minted command id', async () => {
  const ids: (string | undefined)[] = [];
  const client = await serve({
    pause: ({ request }, answer) => {
      ids.push(request.mutation?.commandId);
      answer(null, { box: aBox() });
    },
  });
  await client.pause('web');
  await client.pause('web');
  expect(new Set(ids).size).toBe(2);
});

test('a refusal arrives typed, with its help, faults and details, and is not repeated', async () => {
  let calls = 0;
  const client = await serve({
    create: (_, answer) => {
      calls += 1;
      answer(
        wireRefusal(status.INVALID_ARGUMENT, {
          code: 'InvalidArgument',
          message: '2 faults',
          help: 'Correct them.',
          faults: [
            { field: 'name', problem: 'too long' },
            { field: 'options.cpus', problem: 'too small' },
          ],
          details: { limit: 63 },
        }),
      );
    },
  });
  const error = await failureOf(client.create({ name: 'x'.repeat(99) }));
  expect(error).toMatchObject({
    code: 'InvalidArgument',
    message: '2 faults',
    help: 'Correct them.',
    details: { limit: 63 },
  });
  expect(error.faults.map(({ field }) => field)).toEqual(['name', 'options.cpus']);
  expect(calls).toBe(1);
});

test('a status without ErrorInfo takes its code from gRPC', async () => {
  const client = await serve({
    get: (_, answer) => answer({ code: status.PERMISSION_DENIED, details: 'no' }),
  });
  expect(await failureOf(client.get('web'))).toMatchObject({ code: 'PermissionDenied', message: 'no' });
  expect(await failureOf(client.metrics('web'))).toMatchObject({ code: 'Unsupported' });
});

test('details that are garbled leave the status as it is', async () => {
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
  const client = await serve({
    get: (_, answer) => answer({ code: status.NOT_FOUND, details: 'gone', metadata }),
  });
  expect(await failureOf(client.get('web'))).toMatchObject({ code: 'NotFound', message: 'gone' });
});

test('where nobody listens the error is Unavailable and says what to do', async () => {
  const server = await startServer({});
  await server.stop();
  open.client = connect({ address: server.address });
  const error = await failureOf(open.client.get('web'));
  expect(error.code).toBe('Unavailable');
  expect(error.message).toContain(server.address);
  expect(error.help).toContain('boxledger serve');
});

test('a client that began before its server finds it', async () => {
  const reserved = await startServer({});
  await reserved.stop();
  open.client = connect({ address: reserved.address, retries: 10 });
  const answer = open.client.get('web');
  open.server = await startServer({ get: (_, reply) => reply(null, { box: aBox() }) }, reserved.address);
  expect((await answer).name).toBe('web');
});

test('a call ends with its signal’s reason, and the server hears of it', async () => {
  let cancelled: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  const controller = new AbortController();
  const client = await serve({
    wait: (call) => {
      call.on('cancelled', () => cancelled());
      controller.abort(new Error('enough'));
    },
  });
  await expect(client.wait('web', ['stopped'], { signal: controller.signal })).rejects.toThrow('enough');
  await heard;
});

test('a call that takes longer than allowed is DeadlineExceeded', async () => {
  const client = await serve({ wait: () => undefined });
  expect((await failureOf(client.wait('web', ['stopped'], { timeoutMs: 50 }))).code).toBe('DeadlineExceeded');
});

test('a list goes through all pages and asks for one only when it is read', async () => {
  const tokens: string[] = [];
  const client = await serve({
    list: ({ request }, answer) => {
      tokens.push(request.pageToken);
      const page = tokens.length;
      answer(null, {
        boxes: [aBox({ name: `a${page}` }), aBox({ name: `b${page}` })],
        nextPageToken: page < 3 ? `p${page + 1}` : '',
      });
    },
  });
  const names: string[] = [];
  for await (const { name } of client.list()) names.push(name);
  expect(names).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3']);
  expect(tokens).toEqual(['', 'p2', 'p3']);
  tokens.length = 0;
  for await (const _ of client.list()) break;
  expect(tokens).toEqual(['']);
});

test('a stream that is left early ends at the server', async () => {
  let cancelled: () => void = () => undefined;
  const heard = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  const client = await serve({
    watch: (call) => {
      call.on('cancelled', () => cancelled());
      call.write({ message: { $case: 'event', value: anEvent() } });
    },
  });
  for await (const message of client.watch()) {
    expect(message.$case).toBe('event');
    break;
  }
  await heard;
});

test('a stream that fails gives what came before and then the typed error', async () => {
  const client = await serve({
    readAll: (call) => {
      call.write({ event: anEvent() });
      call.write({ event: anEvent({ version: 2n }) });
      call.emit('error', wireRefusal(status.UNAVAILABLE, { code: 'Unavailable', message: 'database gone' }));
    },
  });
  const versions: bigint[] = [];
  const reading = async () => {
    for await (const { version } of client.readAll({ follow: true })) versions.push(version);
  };
  expect(await failureOf(reading())).toMatchObject({ code: 'Unavailable', message: 'database gone' });
  expect(versions).toEqual([1n, 2n]);
});

test('a reader that stands still holds the server back', async () => {
  let written = 0;
  let held: () => void = () => undefined;
  const full = new Promise<void>((resolve) => {
    held = resolve;
  });
  const total = 2000;
  const client = await serve({
    copyOut: (call) => {
      const more = (): void => {
        while (written < total) {
          written += 1;
          if (!call.write({ tar: Buffer.alloc(16_384, written % 251) })) {
            call.once('drain', more);
            if (written > 4) held();
            return;
          }
        }
        call.end();
      };
      more();
    },
  });
  const pieces = client.copyOut('web', '/data')[Symbol.asyncIterator]();
  await pieces.next();
  await full;
  let bytes = 16_384;
  expect(written).toBeLessThan(total);
  for (let piece = await pieces.next(); !piece.done; piece = await pieces.next()) bytes += piece.value.length;
  expect(bytes).toBe(total * 16_384);
});

test('a copy in sends its header first, and no piece larger than a message', async () => {
  const seen: string[] = [];
  let largest = 0;
  const client = await serve({
    copyIn: (call, answer) => {
      let bytes = 0;
      call.on('data', ({ message }) => {
        seen.push(message.$case);
        if (message.$case !== 'tar') return;
        bytes += message.value.length;
        largest = Math.max(largest, message.value.length);
      });
      call.on('end', () => answer(null, { entries: 1n, bytes: BigInt(bytes), copyId: '' }));
    },
  });
  const tar = async function* () {
    yield new Uint8Array(200_000);
    yield new Uint8Array(5);
  };
  expect((await client.copyIn('web', '/data', tar())).bytes).toBe(200_005n);
  expect(seen[0]).toBe('header');
  expect(largest).toBeLessThanOrEqual(65_536);
});

test('a copy in that is refused half-way stops reading its source', async () => {
  const client = await serve({
    copyIn: (call, answer) => {
      call.once('data', () =>
        answer(wireRefusal(status.NOT_FOUND, { code: 'NotFound', message: 'no box "web"' })),
      );
    },
  });
  let ended = false;
  const endless = async function* () {
    try {
      for (;;) yield new Uint8Array(65_536);
    } finally {
      ended = true;
    }
  };
  expect((await failureOf(client.copyIn('web', '/data', endless()))).code).toBe('NotFound');
  await eventually('the source has been let go', () => ended);
});

test('an exec carries input, size and signals one way, output and exit the other', async () => {
  const seen: unknown[] = [];
  const client = await serve({
    exec: (call) => {
      call.on('data', ({ message }) => {
        seen.push(message.$case === 'stdin' ? message.value.toString() : message.$case);
        if (message.$case === 'start')
          call.write({ message: { $case: 'started', value: { execId: 'ex_1', boxId: 'bx_1', pid: 7 } } });
        if (message.$case === 'signal') {
          call.write({ message: { $case: 'stdout', value: Buffer.from('out') } });
          call.write({
            message: {
              $case: 'exited',
              value: {
                exit: { how: { $case: 'signal', value: message.value } },
                timedOut: false,
                durationMs: 5n,
              },
            },
          });
          call.end();
        }
      });
    },
  });
  const exec = client.exec('web', 'cat', { args: ['-u'], tty: { rows: 24, cols: 80 } });
  const outputs: ExecOutput[] = [];
  for await (const output of exec) {
    outputs.push(output);
    if (output.kind !== 'started') continue;
    await exec.sendStdin(Buffer.from('in'));
    await exec.endStdin();
    await exec.resize({ rows: 25, cols: 81 });
    await exec.sendSignal('SIGTERM');
  }
  expect(seen).toEqual(['start', 'in', 'stdinEnd', 'resize', 'signal']);
  expect(outputs.map(({ kind }) => kind)).toEqual(['started', 'stdout', 'exited']);
  expect(outputs.at(-1)).toMatchObject({ exit: { how: { $case: 'signal', value: 'SIGTERM' } } });
  await exec.sendStdin(Buffer.from('too late: dropped'));
});

test('input that the program does not take holds its sender back', async () => {
  const client = await serve({
    exec: (call) => {
      call.once('data', () => {
        call.pause();
        call.write({ message: { $case: 'started', value: { execId: 'ex_1', boxId: 'bx_1', pid: 7 } } });
      });
    },
  });
  const controller = new AbortController();
  const exec = client.exec('web', 'cat', { signal: controller.signal });
  const reading = (async () => {
    for await (const _ of exec);
  })();
  let taken = 0;
  const sending = (async () => {
    for (; taken < 2000 && !controller.signal.aborted; taken++) await exec.sendStdin(Buffer.alloc(65_536));
  })();
  let before = -1;
  while (taken !== before) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect(taken).toBeLessThan(2000);
  controller.abort(new Error('enough'));
  await expect(reading).rejects.toThrow('enough');
  await sending;
});

test('an exec whose call ends without an exit is an error, not a success', async () => {
  const client = await serve({ exec: (call) => void call.once('data', () => call.end()) });
  const reading = async () => {
    for await (const _ of client.exec('web', 'true'));
  };
  expect((await failureOf(reading())).code).toBe('Unavailable');
});
