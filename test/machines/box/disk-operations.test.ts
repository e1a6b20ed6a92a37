import { describe, expect, test } from 'vitest';
import type { BoxEvent } from '../../../src/events/box-events.ts';
import type { BoxCommand } from '../../../src/events/commands.ts';
import { boxStream } from '../../../src/kernel/ids.ts';
import { boxAggregate } from '../../../src/machines/box/box-aggregate.ts';
import {
  bracket,
  command,
  createdWith,
  failed,
  failure,
  historyOf,
  lost,
  options,
  placement,
  process,
  reportExit,
  Story,
  snapshotted,
  started,
  startRequested,
  success,
  theBox,
  theClone,
} from './story.ts';

const refusal = (code: string) => ({ kind: 'refused', refusal: { code } });
const foundRunning: BoxEvent = {
  type: 'box.found',
  data: { placement: { ...placement, epoch: 2 }, process, exit: null, timeoutMs: 72_000 },
};

describe('how a box is held for an operation', () => {
  const planIn = (story: Story, asked: BoxCommand) => {
    story.when(asked);
    const args = story.effects.at(-1)?.args;
    return args !== undefined && 'plan' in args ? args.plan : undefined;
  };
  const operations = [command.snapshot, command.clone, command.export];

  test('one that runs is quiesced, as strictly as the caller wishes', () => {
    for (const asked of operations)
      for (const consistency of ['best-effort', 'required'] as const)
        expect(planIn(Story.of(...historyOf.running), { ...asked, consistency })).toEqual({
          kind: 'quiesce',
          process,
          consistency,
        });
  });

  test.each(['file-system', 'crash'] as const)(
    'one whose pause came to %s consistency is left as it is, and its copy is worth the same',
    (consistency) => {
      const story = Story.of(...historyOf.pausing, { type: 'box.paused', data: { consistency } });
      expect(planIn(story, command.snapshot)).toEqual({ kind: 'held', consistency });
    },
  );

  test('one at rest needs no holding: its file systems are whole', () => {
    for (const state of ['stopped', 'failed'] as const)
      expect(planIn(Story.of(...historyOf[state]), command.clone)).toEqual({
        kind: 'held',
        consistency: 'file-system',
      });
  });

  test('one that was paused, lost and found running is quiesced like any that runs', () => {
    const story = Story.of(...historyOf.paused, lost, foundRunning);
    expect(story.view).toMatchObject({ state: 'running', pause: null });
    expect(planIn(story, command.snapshot)).toMatchObject({ kind: 'quiesce' });
    story.when(command.stop);
    // Nobody has seen it thaw.
    expect(story.effects.at(-1)).toMatchObject({ kind: 'vm.shutdown', args: { frozen: true } });
  });
});

describe('an operation', () => {
  test.each(['snapshot', 'clone', 'export', 'removeSnapshot'] as const)(
    'of kind %s leaves room for no other, nor for a pause; who comes is told to wait',
    (asked) => {
      const story = Story.of(...historyOf.running, ...snapshotted('kept', 1));
      story.when(command[asked]);
      for (const other of ['snapshot', 'clone', 'export', 'removeSnapshot', 'pause'] as const)
        expect(story.when(command[other])).toMatchObject({
          kind: 'refused',
          refusal: { code: 'InvalidState', help: expect.stringMatching(/^Wait until the .* is done\.$/) },
        });
    },
  );

  test('that a stop overtakes is cancelled and forgotten; its outcome comes too late', () => {
    const story = Story.of(...historyOf.running);
    story.when(command.snapshot);
    const { effect } = story.view;
    story.when(command.stop);
    expect(story.cancelled).toEqual([effect?.effectId]);
    expect(story.view).toMatchObject({ state: 'stopping', operation: null, bracket: null });
    const told = effect === null ? {} : { effectId: effect.effectId };
    expect(story.settle(success['disk.snapshot'], told)).toMatchObject(refusal('Conflict'));
    story.settle(success['vm.shutdown']);
    expect(story.view).toMatchObject({ state: 'stopped', snapshots: [] });
  });

  test('ends with the run of a box that exits or is lost', () => {
    const exited = Story.of(...historyOf.running);
    exited.when(command.export);
    const { effectId } = exited.view.effect ?? {};
    expect(exited.when(reportExit(1))).toMatchObject({ cancels: [effectId] });
    expect(exited.view).toMatchObject({ state: 'stopped', operation: null, effect: null });

    const found = Story.of(...historyOf.running);
    found.when(command.clone);
    found.record(lost, found.tick());
    expect(found.view).toMatchObject({ state: 'lost', operation: null, effect: null });
    found.record(foundRunning, found.tick());
    expect(found.view).toMatchObject({ state: 'running', operation: null });
  });

  test.each(['stopped', 'failed'] as const)(
    'on the disk of a %s box keeps it from being started or removed, but not by force',
    (state) => {
      const story = Story.of(...historyOf[state]);
      story.when(command.export);
      const { effectId } = story.view.effect ?? {};
      for (const asked of [command.start, command.restart, command.remove])
        expect(story.when(asked)).toMatchObject(refusal('InvalidState'));
      expect(story.when(command.forceRemove)).toMatchObject({
        events: [{ type: 'box.removeRequested', data: { force: true } }],
        cancels: [effectId],
      });
      expect(story.view).toMatchObject({ state: 'removing', operation: null });
    },
  );

  test('that failed leaves the box where it was, with the reason', () => {
    for (const state of ['running', 'paused', 'stopped', 'failed'] as const)
      for (const asked of [command.snapshot, command.clone, command.export]) {
        const story = Story.of(...historyOf[state]);
        story.when(asked);
        const { effect } = story.view;
        if (effect === null) throw new Error('nothing is under way');
        expect(story.settle(failed(effect.kind))).toMatchObject({ effects: [], begins: [] });
        expect(story.view).toMatchObject({ state, failure, operation: null, effect: null, snapshots: [] });
      }
  });

  test('goes on under another name of its box', () => {
    const story = Story.of(...historyOf.running);
    story.when(command.snapshot);
    const { effect, operation } = story.view;
    expect(story.when(command.rename)).toMatchObject({ cancels: [] });
    expect(story.view).toMatchObject({ name: 'other', effect, operation });
    expect(story.when(command.rename)).toEqual({ kind: 'already-so' });
  });
});

describe('a clone', () => {
  const another = { boxId: 'bx_ffffffffffffffff' as typeof theClone, name: 'copy-2' };
  const two: BoxCommand = { ...command.clone, clones: [...command.clone.clones, another] };

  test('begins with the event of its parent that says that it was made, stopped, with a disk, as its parent was made', () => {
    const story = Story.of(...historyOf.running);
    story.when(two);
    expect(story.begun).toEqual([]);
    story.settle(success['disk.clone']);
    expect(story.begun.map(({ streamId }) => streamId)).toEqual([theClone, another.boxId].map(boxStream));
    const version = story.log.findIndex(({ type }) => type === 'box.cloned') + 1;
    const { options } = story.view;
    for (const [index, { events, state }] of story.begun.entries()) {
      const origin = { from: { kind: 'clone', boxId: theBox, version }, placement };
      const name = ['copy', 'copy-2'][index];
      expect(events).toEqual([{ type: 'box.created', data: { name, options, origin } }]);
      expect(boxAggregate.view(state)).toMatchObject({
        ...{ state: 'stopped', name, hasDisk: true, generation: 0, placement, origin: origin.from },
        snapshots: [],
      });
    }
  });

  test('that failed leaves none of them', () => {
    const story = Story.of(...historyOf.running);
    story.when(two);
    story.settle(failed('disk.clone'));
    expect(story.begun).toEqual([]);
    expect(story.log.at(-1)).toMatchObject({ type: 'box.cloneFailed', data: { failure } });
  });

  test('named twice in one call is an argument that cannot be', () => {
    const sameName = { ...two, clones: [...command.clone.clones, { ...another, name: 'copy' }] };
    const sameId = { ...two, clones: [...command.clone.clones, { boxId: theClone, name: 'copy-2' }] };
    for (const asked of [sameName, sameId])
      expect(Story.of(...historyOf.running).when(asked)).toMatchObject(refusal('InvalidArgument'));
  });
});

describe('an export', () => {
  const history = [createdWith({ env: { TOKEN: 'secret' } }), startRequested(), started];

  test.each([
    [false, {}],
    [true, { TOKEN: 'secret' }],
  ])('that includes the environment: %s', (includeEnv, env) => {
    const story = Story.of(...history);
    story.when({ ...command.export, includeEnv });
    expect(story.effects.at(-1)).toMatchObject({
      kind: 'disk.export',
      args: { name: 'web', options: { env } },
    });
    expect(story.view.options.env).toEqual({ TOKEN: 'secret' });
    story.settle(success['disk.export']);
    expect(story.log.at(-1)).toMatchObject({
      type: 'box.exported',
      data: { exportId: command.export.exportId, sizeBytes: 2048, bracket },
    });
  });
});

describe('an import', () => {
  const asked: BoxCommand = {
    ...{ type: 'box.import', boxId: theBox, name: 'web', options, placement },
    archive: { sha256: 'ab'.repeat(32), sizeBytes: 2048 },
  };

  test('is stopped, with its disk where it was unpacked, and is started there', () => {
    const story = new Story();
    story.when(asked);
    expect(story.view).toMatchObject({
      ...{ state: 'stopped', hasDisk: true, placement, generation: 0 },
      origin: { kind: 'import', sha256: 'ab'.repeat(32), sizeBytes: 2048 },
    });
    expect(story.when(command.start)).toMatchObject({ effects: [{ kind: 'vm.boot', placement }] });
    expect(story.view.generation).toBe(1);
  });

  test('under the id of another box exists already', () => {
    expect(Story.of(...historyOf.configured).when(asked)).toMatchObject(refusal('AlreadyExists'));
  });
});
