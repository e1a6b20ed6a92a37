import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import type { CreateSnapshotRequest, ExportResponse } from '../../src/gen/boxledger/v1/disk_service.ts';
import { type Client, connect } from '../../src/sdk/client.ts';
import { aBox, type Script, type ScriptedServer, startServer } from './scripted-server.ts';

let server: ScriptedServer | undefined;
let client: Client | undefined;
afterEach(async () => {
  client?.close();
  await server?.stop();
});

const connected = async (script: Script): Promise<Client> => {
  server = await startServer(script);
  client = connect({ address: server.address, actor: 'ann' });
  return client;
};

const snapshot = {
  snapshotId: 'sn_0123456789abcdef',
  name: 'one',
  parent: '',
  consistency: 'crash',
  copy: 'reflink',
  sizeBytes: 9n,
  createdAt: undefined,
};

test('a snapshot whose call broke off is asked for again under the same command id', async () => {
  const asked: CreateSnapshotRequest[] = [];
  const { disks } = await connected({
    createSnapshot: (call) => {
      asked.push(call.request);
      if (asked.length === 1) return call.emit('error', { code: status.UNAVAILABLE, details: 'gone' });
      const value = { bytes: 4n, totalBytes: asked.length === 2 ? undefined : 9n };
      call.write({ message: { $case: 'progress', value } });
      if (asked.length === 2) return call.end(); // without a word of what came of it
      call.write({ message: { $case: 'created', value: { box: aBox(), snapshot } } });
      call.end();
      return;
    },
  });
  const heard: unknown[] = [];
  const onProgress = (...progress: unknown[]) => void heard.push(progress);
  expect(await disks.createSnapshot('web', { name: 'one', onProgress })).toMatchObject({ snapshot });
  expect(heard).toEqual([
    [4, undefined],
    [4, 9],
  ]);
  expect(asked).toHaveLength(3);
  expect(new Set(asked.map(({ mutation }) => mutation?.commandId)).size).toBe(1);
});

test('aborting ends the waiting with the signal’s reason', async () => {
  const { disks } = await connected({ restoreSnapshot: () => undefined });
  const ending = new AbortController();
  const waiting = disks.restoreSnapshot('web', 'one', { signal: ending.signal });
  const reason = new Error('enough');
  ending.abort(reason);
  await expect(waiting).rejects.toBe(reason);
});

const exporting = (chunks: readonly string[], sha256: string): Script => ({
  export: (call) => {
    const send = (message: ExportResponse['message']) => call.write({ message });
    const value = {
      box: aBox(),
      exportId: 'xp_0123456789abcdef',
      sizeBytes: 6n,
      sha256,
      consistency: 'crash',
    };
    send({ $case: 'header', value });
    for (const chunk of chunks) send({ $case: 'chunk', value: Buffer.from(chunk) });
    call.end();
  },
});

const textOf = async (bytes: AsyncIterable<Uint8Array>): Promise<string> => {
  let text = '';
  for await (const chunk of bytes) text += Buffer.from(chunk).toString();
  return text;
};

test('an archive is checked against what the server made', async () => {
  const sha256 = createHash('sha256').update('abcdef').digest('hex');
  const whole = await (await connected(exporting(['abc', 'def'], sha256))).disks.export('web');
  expect(whole).toMatchObject({ sha256, sizeBytes: 6n, consistency: 'crash' });
  expect(await textOf(whole.bytes)).toBe('abcdef');
  client?.close();
  await server?.stop();
  const cut = await (await connected(exporting(['abc'], sha256))).disks.export('web');
  await expect(textOf(cut.bytes)).rejects.toMatchObject({
    code: 'Unavailable',
    help: 'Export the box again.',
  });
});

test('an import that is refused stops reading the archive and says why', async () => {
  const { disks } = await connected({
    import: (call, respond) => {
      call.once('data', () => respond({ code: status.INVALID_ARGUMENT, details: 'no archive' }));
    },
  });
  let taken = 0;
  const endless = async function* () {
    for (;;) {
      taken += 1;
      yield Buffer.alloc(64 * 1024);
    }
  };
  await expect(disks.import(endless())).rejects.toMatchObject({ code: 'InvalidArgument' });
  expect(taken).toBeGreaterThan(0);
});
