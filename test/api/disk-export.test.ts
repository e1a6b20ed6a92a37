import { expect, onTestFinished, test } from 'vitest';
import { exportBox } from '../../src/api/disk-export.ts';
import { exportSchema } from '../../src/api/disk-requests.ts';
import { CreateRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { defaultTenant } from '../../src/kernel/ids.ts';
import { call } from './api-under-test.ts';
import { handMade } from './hand-made-host.ts';

test('an archive whose caller is gone after the header is not left open', async () => {
  const plane = await handMade();
  onTestFinished(() => plane.close());
  const { boxes } = plane.api;
  const options = { env: {}, labels: {} };
  await call(boxes, boxes.create, { ...CreateRequest.decode(new Uint8Array()), name: 'left', options });
  await call(boxes, boxes.start, { box: 'left', mutation: undefined, wait: false });
  await plane.succeed('left', 'vm.boot');
  let opened = 0;
  const archives = {
    open: async () => {
      opened += 1;
      return (async function* () {
        try {
          yield Buffer.from('of the archive');
        } finally {
          opened -= 1;
        }
      })();
    },
    remove: async () => undefined,
  };
  const { signal } = new AbortController();
  const caller = {
    tenant: defaultTenant,
    actor: { kind: 'user', id: 'ann' },
    traceparent: undefined,
  } as const;
  const messages = exportBox({ ...plane.deps, archives: { ...plane.deps.archives, ...archives } })(
    exportSchema.parse({ box: 'left', includeEnv: false }),
    { caller, signal, waitSignal: signal, [Symbol.dispose]: () => undefined },
  );
  const done = plane.succeed('left', 'disk.export');
  for await (const { message } of messages) if (message?.$case === 'header') break;
  await done;
  expect(opened).toBe(0);
});
