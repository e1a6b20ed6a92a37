import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PreviewFinding } from '../../src/cli/server-commands.ts';
import { type AnyAggregate, aggregateOf } from '../../src/commands/aggregates.ts';
import { boxStates } from '../../src/events/box-view.ts';
import { BrokenInvariant } from '../../src/kernel/assert.ts';
import { boxAggregateOf, previewBoxes } from '../../src/main/preview.ts';
import { historyOf } from '../machines/box/story.ts';
import { recordBox } from '../support/recorded-box.ts';
import { createStore, type TestStore } from '../support/store.ts';

let store: TestStore;
beforeAll(async () => {
  store = await createStore();
  for (const state of boxStates) await recordBox(store, historyOf[state]);
});
afterAll(() => store.close());

const own = aggregateOf('box');
const live = boxStates.length - 1;

const preview = async (aggregate: AnyAggregate, signal = new AbortController().signal) => {
  const findings: PreviewFinding[] = [];
  const summary = await previewBoxes(
    store,
    aggregate,
    async (finding) => void findings.push(finding),
    signal,
  );
  return { findings, summary };
};

test('the statechart that made the boxes changes none of them', async () => {
  const { findings, summary } = await preview(await boxAggregateOf(undefined));
  expect(findings).toEqual([]);
  expect(summary).toEqual({ boxes: live, differing: 0, otherChart: 0 });
});

test('every live box that another statechart would show otherwise is listed, with what differs', async () => {
  const other: AnyAggregate = {
    ...own,
    definition: 'another',
    view: (state) => {
      const view = own.view(state);
      return view && { ...view, hasDisk: !view.hasDisk };
    },
  };
  const { findings, summary } = await preview(other);
  expect(summary).toEqual({ boxes: live, differing: live, otherChart: live });
  for (const finding of findings)
    expect(finding).toMatchObject({ kind: 'differs', changes: [{ path: 'view.hasDisk' }] });
});

test('a history that another statechart cannot fold is named with the event that it cannot take', async () => {
  const narrower: AnyAggregate = {
    ...own,
    evolve: (state, event) => {
      if (event.type === 'box.paused')
        throw new BrokenInvariant(`version ${event.version}: cannot take box.paused`);
      return own.evolve(state, event);
    },
  };
  const { findings, summary } = await preview(narrower);
  expect(summary).toMatchObject({ boxes: live, differing: 2 }); // paused, and resuming
  for (const finding of findings)
    expect(finding).toMatchObject({ kind: 'unfoldable', problem: 'version 5: cannot take box.paused' });
});

test('a fault of the statechart that is none of the fold is thrown', async () => {
  const faulty: AnyAggregate = {
    ...own,
    evolve: () => {
      throw new TypeError('a slip');
    },
  };
  await expect(preview(faulty)).rejects.toThrow('a slip');
});

test('a statechart comes from a module, and one that is none is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'boxledger-machine-'));
  const file = async (name: string, text: string) => {
    await writeFile(join(directory, name), text);
    return join(directory, name);
  };
  const counting = await file(
    'counting.mjs',
    `export const boxAggregate = {
       definition: 'counting',
       evolve: (count = 0) => count + 1,
       persist: (count) => ({ value: 'counted', context: { count } }),
       view: () => null,
     };`,
  );
  const { summary, findings } = await preview(await boxAggregateOf(counting));
  expect(summary).toEqual({ boxes: live, differing: live, otherChart: live });
  expect(findings[0]).toMatchObject({
    changes: expect.arrayContaining([{ path: 'view', before: expect.anything(), after: null }]),
  });
  for (const [name, text] of [
    ['nothing.mjs', 'export const other = 1;'],
    ['half.mjs', 'export const boxAggregate = { definition: "x" };'],
    ['broken.mjs', 'export const'],
  ] as const)
    await expect(boxAggregateOf(await file(name, text))).rejects.toMatchObject({ code: 'InvalidArgument' });
  await expect(boxAggregateOf(join(directory, 'absent.mjs'))).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
  await rm(directory, { recursive: true });
});

test('an interrupted preview ends', async () => {
  const why = new Error('enough');
  await expect(preview(own, AbortSignal.abort(why))).rejects.toBe(why);
});
