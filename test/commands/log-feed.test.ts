import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventLog } from '../../src/commands/event-store.ts';
import { LogFeed } from '../../src/commands/log-feed.ts';
import { LogTail } from '../../src/commands/log-tail.ts';
import { CreateRequest } from '../../src/gen/boxledger/v1/box_service.ts';
import { call } from '../api/api-under-test.ts';
import { type HandMade, handMade } from '../api/hand-made-host.ts';
import { eventually } from '../support/eventually.ts';
import { gate } from '../support/gate.ts';

let plane: HandMade;
beforeAll(async () => {
  plane = await handMade();
});
afterAll(() => plane.close());

const create = (name: string) =>
  call(plane.api.boxes, plane.api.boxes.create, { ...CreateRequest.decode(new Uint8Array()), name });

test('a reader that is ahead of the tail is given nothing twice', async () => {
  const { log } = plane.store;
  const held = gate();
  const slow: EventLog = {
    readStream: (...args) => log.readStream(...args),
    end: () => log.end(),
    onAppend: (wake) => log.onAppend(wake),
    readAll: async (...args) => {
      await held.passed;
      return log.readAll(...args);
    },
  };
  const tail = new LogTail(slow, { pollIntervalMs: 50, keep: 100, onError: () => undefined });
  await tail.start();
  await create('first');
  await eventually('the first box can be read', async () => (await log.readAll('', 1)).events.length === 1);

  const end = new AbortController();
  const items = new LogFeed(log, tail).follow({ from: '', signal: end.signal });
  const next = async () => {
    const { value } = await items.next();
    return value?.kind === 'event' && 'name' in value.event.data ? value.event.data.name : value?.kind;
  };
  expect(await next()).toBe('first');
  const then = next();
  held.open();
  expect(await then).toBe('caught-up');
  await create('second');
  expect(await next()).toBe('second');
  end.abort();
  expect(await next()).toBeUndefined();
  tail.stop();
});
