import { afterAll, beforeAll, expect, test } from 'vitest';
import { enterBox } from '../../src/api/admission.ts';
import type { ApiDeps } from '../../src/api/api-deps.ts';
import { CreateRequest, StartRequest, StopRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { defaultTenant } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { call } from './api-under-test.ts';
import { type HandMade, handMade } from './hand-made-host.ts';

let plane: HandMade;
beforeAll(async () => {
  plane = await handMade();
});
afterAll(() => plane.close());

test('a box that went from starting to stopping while it was looked at is not waited for', async () => {
  const { boxes } = plane.api;
  const name = 'gone-on';
  await call(boxes, boxes.create, {
    ...CreateRequest.decode(new Uint8Array()),
    name,
    options: { env: {}, labels: {} },
  });
  await call(boxes, boxes.start, { ...StartRequest.decode(new Uint8Array()), box: name });
  const late: ApiDeps = {
    ...plane.deps,
    guests: {
      ...plane.deps.guests,
      admit: async (...args) => {
        const admission = await plane.deps.guests.admit(...args);
        await call(boxes, boxes.stop, { ...StopRequest.decode(new Uint8Array()), box: name });
        return admission;
      },
    },
  };
  const signal = AbortSignal.timeout(20_000);
  const entered = enterBox(
    late,
    name,
    { reason: 'exec', autoStart: true, correlationId: randomIds.correlationId() },
    {
      caller: {
        tenant: defaultTenant,
        actor: { kind: 'user', id: 'tester' },
        traceparent: undefined,
      },
      signal,
      waitSignal: signal,
      [Symbol.dispose]: () => undefined,
    },
  );
  await expect(entered).rejects.toMatchObject({ code: 'InvalidState', details: { state: 'stopping' } });
});
