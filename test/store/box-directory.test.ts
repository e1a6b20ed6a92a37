import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BoxFilter } from '../../src/commands/event-store.ts';
import { type BoxId, boxId, defaultTenant, type TenantId, tenantId } from '../../src/kernel/ids.ts';
import { plusMs } from '../../src/kernel/time.ts';
import {
  appendRequest,
  type BoxAppendOptions,
  boxAppend,
  someBoxId,
  startOfTime,
} from '../support/append-request.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
});
afterAll(() => store.close());

const put = async (options: BoxAppendOptions) => {
  const request = {
    ...(options.tenant && { tenant: options.tenant }),
    occurredAt: options.occurredAt ?? startOfTime,
  };
  const result = await store.events.append(appendRequest([boxAppend(options)], request));
  if (result.kind !== 'appended' || result.streams[0] === undefined) throw new Error(result.kind);
  return result.streams[0];
};

/** Names of all boxes that the filter lets through, read in pages of `size`. */
const list = async (tenant: TenantId, filter: BoxFilter = {}, size = 2) => {
  const names: string[] = [];
  let token = '';
  do {
    const page = await store.boxes.list(tenant, filter, { size, token });
    expect(page.boxes.length).toBeLessThanOrEqual(size);
    names.push(...page.boxes.map((box) => box.name));
    token = page.nextPageToken;
  } while (token !== '');
  return names;
};

test('a box is found by name, by id and by the beginning of its id', async () => {
  const box = boxId('bx_0123456789abcdef');
  await put({ box, name: 'found' });
  for (const given of ['found', box, 'bx_0123', '0123', '0123456789abcdef'])
    expect(await store.boxes.find(defaultTenant, given)).toMatchObject({
      kind: 'found',
      box: { boxId: box },
    });
  for (const given of ['foun', 'bx_', '', 'bx_zz', "'; --", '%', '01_3'])
    expect(await store.boxes.find(defaultTenant, given)).toEqual({ kind: 'none' });
  expect(await store.boxes.find(tenantId('other'), box)).toEqual({ kind: 'none' });
});

test('a beginning that several ids have is ambiguous, but a name goes before it', async () => {
  const ids = ['bx_ab00000000000001', 'bx_ab00000000000002'].map(boxId);
  for (const box of ids) await put({ box });
  expect(await store.boxes.find(defaultTenant, 'ab0')).toEqual({ kind: 'ambiguous', boxIds: ids });
  await put({ name: 'ab0' });
  expect(await store.boxes.find(defaultTenant, 'ab0')).toMatchObject({ kind: 'found', box: { name: 'ab0' } });
});

test('a removed box is found by its whole id only', async () => {
  const box = boxId('bx_cd00000000000001');
  const after = await put({ box, name: 'gone' });
  await put({ box, name: 'gone', state: 'removed', after });
  expect(await store.boxes.find(defaultTenant, 'gone')).toEqual({ kind: 'none' });
  expect(await store.boxes.find(defaultTenant, 'cd0')).toEqual({ kind: 'none' });
  expect(await store.boxes.find(defaultTenant, box)).toMatchObject({
    kind: 'found',
    box: { state: 'removed' },
  });
});

test('a row says when its box was created and last changed, and its version', async () => {
  const box = someBoxId();
  const after = await put({ box, name: 'dated' });
  const later = plusMs(startOfTime, 1_234);
  await put({ box, name: 'dated', state: 'running', after, occurredAt: later });
  expect(await store.boxes.find(defaultTenant, 'dated')).toMatchObject({
    box: { version: 2n, createdAt: startOfTime, updatedAt: later, state: 'running' },
  });
});

test('boxes are listed oldest first, page by page, and filtered', async () => {
  const tenant = tenantId('lists');
  const boxes: (BoxAppendOptions & { box: BoxId })[] = [
    { name: 'web-1', labels: { tier: 'web', zone: 'a' }, state: 'running' as const },
    { name: 'web-2', labels: { tier: 'web', zone: 'b' } },
    { name: 'db-1', labels: { tier: 'db' }, state: 'running' as const },
    { name: 'bare', labels: {} },
    { name: 'old', labels: { tier: 'web' }, state: 'removed' as const },
  ].map((box, index) => ({ ...box, tenant, box: someBoxId(), occurredAt: plusMs(startOfTime, index >> 1) }));
  for (const box of boxes) await put(box);
  const inOrder = boxes
    .toSorted((a, b) => `${a.occurredAt}${a.box}`.localeCompare(`${b.occurredAt}${b.box}`))
    .map(({ name }) => name);
  const but = (...names: string[]) => inOrder.filter((name) => name !== undefined && !names.includes(name));

  expect(await list(tenant)).toEqual(but('old'));
  expect(await list(tenant, {}, 1)).toEqual(but('old'));
  expect(await list(tenant, { includeRemoved: true })).toEqual(inOrder);
  expect(await list(tenant, { states: ['removed'] })).toEqual(['old']);
  expect(await list(tenant, { states: ['running'] })).toEqual(but('web-2', 'bare', 'old'));
  expect(await list(tenant, { labels: { tier: 'web' } })).toEqual(but('db-1', 'bare', 'old'));
  expect(await list(tenant, { labels: { tier: 'web', zone: 'b' } })).toEqual(['web-2']);
  expect(await list(tenant, { labels: { tier: 'web' }, includeRemoved: true })).toEqual(but('db-1', 'bare'));
  expect(await list(tenant, { namePrefix: 'web', states: ['running'] })).toEqual(['web-1']);
  expect(await list(tenantId('nobody'))).toEqual([]);
  expect(await store.boxes.count(tenant)).toEqual({ running: 2, configured: 2 });
});

test('a page token that is none is refused', async () => {
  for (const token of ['x', '1.bx_short', '99999999999999999.bx_0123456789abcdef'])
    await expect(store.boxes.list(defaultTenant, {}, { size: 1, token })).rejects.toMatchObject({
      code: 'InvalidArgument',
    });
});
