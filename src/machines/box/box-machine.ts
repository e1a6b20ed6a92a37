/**
 * The statechart of a box. Its events are the log's own, so the chart is the grammar of a box's stream: what it takes
 * may be appended, and nothing else.
 *
 * 1. Every transition records; what is remembered of an event does not depend on the state (`remember`).
 * 2. Every in-between state asks for its effect on entry and forgets it on exit, so `context.effect` is set in these
 *    states and in no other. The one exception is `removing.nothing`, which nobody rests in: there is no disk that could
 *    be reached, so `box.removed` follows in the same append.
 * 3. One thing at a time is done to a disk. A box that runs, is paused, stopped or failed is `idle` or in an operation, which is
 *    an in-between state of its own within it; while a box runs, the operation holds its processes (the bracket).
 * 4. Tags are the cells of the table in docs/box-lifecycle.md where a command changes nothing ("already so") and its column
 *    for exec and copy. Whatever has neither a transition nor a tag is refused.
 */
import { assign, setup } from 'xstate';
import type { EffectKind } from '../../events/effects.ts';
import { type BoxChartEvent, type BoxContext, inFlight, unborn } from './box-context.ts';
import {
  bootIntent,
  diskRemovalIntent,
  type IntentOf,
  pauseIntent,
  resumeIntent,
  shutdownIntent,
} from './box-intents.ts';
import {
  cloneIntent,
  exportIntent,
  restoreIntent,
  snapshotIntent,
  snapshotRemovalIntent,
} from './disk-intents.ts';
import { goalOf, outranks, remember } from './remember.ts';

type BoxTag =
  | 'alreadyStarted'
  | 'alreadyStopped'
  | 'alreadyPaused'
  | 'alreadyResumed'
  | 'alreadyRemoved'
  | 'execRuns'
  | 'execWaits'
  | 'execStartsFirst';

/** An effect as an action is data: XState never runs it. */
const asData = <Kind extends EffectKind>(_: unknown, _intent: IntentOf<Kind>): void => undefined;

const chart = setup({
  types: {
    context: {} as BoxContext, // XState's way of naming a type; the value is not used
    events: {} as BoxChartEvent,
    tags: {} as BoxTag,
  },
  actions: {
    record: assign(({ context, event }) => remember(context, event)),
    awaitOutcome: assign(({ context, event }, { of }: { of: EffectKind }) => ({
      effect: inFlight(context, event, of),
    })),
    forgetEffect: assign({ effect: null, operation: null }),
    'vm.boot': asData<'vm.boot'>,
    'vm.shutdown': asData<'vm.shutdown'>,
    'vm.pause': asData<'vm.pause'>,
    'vm.resume': asData<'vm.resume'>,
    'disk.remove': asData<'disk.remove'>,
    'disk.snapshot': asData<'disk.snapshot'>,
    'disk.restore': asData<'disk.restore'>,
    'disk.clone': asData<'disk.clone'>,
    'disk.export': asData<'disk.export'>,
    'snapshot.remove': asData<'snapshot.remove'>,
  },
  guards: {
    /** The next generation, and where the disk is if there is one. */
    isNextStart: ({ context, event }) =>
      event.type === 'box.startRequested' &&
      event.data.generation === context.generation + 1 &&
      (!context.hasDisk || event.data.placement.hostId === context.placement?.hostId),
    isForced: ({ event }) => event.type === 'box.removeRequested' && event.data.force,
    comesWithDisk: ({ event }) => event.type === 'box.created' && event.data.origin !== undefined,
    goesFurther: ({ context, event }) =>
      event.type === 'box.stopRequested' && outranks(goalOf(event.data), context.goal),
    stillRuns: ({ event }) => event.type === 'box.found' && event.data.process !== null,
    stillRunsUnwanted: ({ context, event }) =>
      event.type === 'box.found' && event.data.process !== null && context.goal !== 'none',
    awaitsRemoval: ({ context }) => context.goal === 'remove',
    becomes: ({ event }, { health }: { health: string }) =>
      event.type === 'box.healthChanged' && event.data.health === health,
    wasFound: ({ context }, { health }: { health: string }) => context.health === health,
    isProbed: ({ context }) => context.options.healthCheck !== undefined,
  },
});

const to = <const Target extends string>(target: Target) => ({ target, actions: 'record' }) as const;
const endsOrIsLost = { 'box.exited': to('stopped'), 'box.lost': to('lost') } as const;

/** The in-between state that waits for an effect. */
const waitsFor = <const Kind extends EffectKind, Intent>(of: Kind, intent: Intent) =>
  ({
    entry: [
      { type: 'awaitOutcome', params: { of } },
      { type: of, params: intent },
    ],
    exit: 'forgetEffect',
  }) as const;

/** Operations on the disk of a box that is `idle`, and comes back to that. */
const operations = {
  idle: {},
  snapshot: {
    ...waitsFor('disk.snapshot', snapshotIntent),
    on: { 'box.snapshotCreated': to('idle'), 'box.snapshotFailed': to('idle') },
  },
  snapshotRemoval: {
    ...waitsFor('snapshot.remove', snapshotRemovalIntent),
    on: { 'box.snapshotRemoved': to('idle'), 'box.snapshotRemovalFailed': to('idle') },
  },
  clone: {
    ...waitsFor('disk.clone', cloneIntent),
    on: { 'box.cloned': to('idle'), 'box.cloneFailed': to('idle') },
  },
  export: {
    ...waitsFor('disk.export', exportIntent),
    on: { 'box.exported': to('idle'), 'box.exportFailed': to('idle') },
  },
} as const;

const beginsOperation = {
  'box.snapshotRequested': to('snapshot'),
  'box.snapshotRemovalRequested': to('snapshotRemoval'),
  'box.cloneRequested': to('clone'),
  'box.exportRequested': to('export'),
} as const;

/** A disk that nothing uses can also be put back to what it was. */
const atRest = {
  ...operations,
  idle: {
    on: {
      ...beginsOperation,
      'box.restoreRequested': to('restore'),
      'box.startRequested': { ...to('#box.starting'), guard: 'isNextStart' },
      'box.removeRequested': to('#box.removing'),
    },
  },
  restore: {
    ...waitsFor('disk.restore', restoreIntent),
    // What made the last start fail may have gone with the disk.
    on: { 'box.restored': to('#box.stopped'), 'box.restoreFailed': to('idle') },
  },
} as const;

/** Whatever is being done to the disk of a box at rest: there is nothing to stop first. */
const removedByForce = { 'box.removeRequested': { ...to('removing'), guard: 'isForced' } } as const;

const becomesHealth = <const Health extends string>(health: Health) =>
  ({ ...to(`.${health}`), guard: { type: 'becomes', params: { health } } }) as const;
const runsOnAs = <const Health extends string>(health: Health) =>
  ({ ...to(`running.health.${health}`), guard: { type: 'wasFound', params: { health } } }) as const;
/** Back to running, with the health that the box was found in before it was paused. */
const runsOn = [runsOnAs('starting'), runsOnAs('healthy'), runsOnAs('unhealthy'), to('running')] as const;

export const boxMachine = chart.createMachine({
  id: 'box',
  context: unborn,
  initial: 'absent',
  on: { 'box.renamed': { actions: 'record' } },
  states: {
    absent: {
      on: {
        'box.created': [{ ...to('stopped'), guard: 'comesWithDisk' }, to('configured')],
        'box.renamed': {},
      },
    },
    configured: {
      tags: ['alreadyStopped', 'execStartsFirst'],
      on: {
        'box.startRequested': { ...to('starting'), guard: 'isNextStart' },
        'box.removeRequested': to('removing.nothing'),
      },
    },
    starting: {
      tags: ['alreadyStarted', 'execWaits'],
      ...waitsFor('vm.boot', bootIntent),
      on: {
        'box.started': [{ ...to('running.health.starting'), guard: 'isProbed' }, to('running')],
        'box.startFailed': to('failed'),
        'box.stopRequested': to('stopping'),
        'box.lost': to('lost'),
      },
    },
    running: {
      tags: ['alreadyStarted', 'alreadyResumed', 'execRuns'],
      type: 'parallel',
      on: { 'box.stopRequested': to('stopping'), ...endsOrIsLost },
      states: {
        health: {
          initial: 'none',
          on: {
            'box.healthChanged': [
              becomesHealth('none'),
              becomesHealth('starting'),
              becomesHealth('healthy'),
              becomesHealth('unhealthy'),
            ],
          },
          states: {
            none: {},
            starting: {},
            healthy: {},
            unhealthy: {},
          },
        },
        bracket: {
          initial: 'idle',
          states: {
            ...operations,
            idle: { on: { ...beginsOperation, 'box.pauseRequested': to('#box.pausing') } },
          },
        },
      },
    },
    pausing: {
      tags: ['alreadyPaused'],
      ...waitsFor('vm.pause', pauseIntent),
      on: {
        'box.paused': to('paused'),
        'box.pauseFailed': runsOn,
        'box.stopRequested': to('stopping'),
        ...endsOrIsLost,
      },
    },
    paused: {
      tags: ['alreadyPaused'],
      on: { 'box.stopRequested': to('stopping'), ...endsOrIsLost },
      initial: 'idle',
      states: {
        ...operations,
        idle: { on: { ...beginsOperation, 'box.resumeRequested': to('#box.resuming') } },
      },
    },
    resuming: {
      tags: ['alreadyResumed'],
      ...waitsFor('vm.resume', resumeIntent),
      on: {
        'box.resumed': runsOn,
        'box.resumeFailed': to('paused'),
        'box.stopRequested': to('stopping'),
        ...endsOrIsLost,
      },
    },
    stopping: {
      tags: ['alreadyStopped'],
      ...waitsFor('vm.shutdown', shutdownIntent),
      on: {
        'box.stopped': to('stopped'),
        'box.stopFailed': { ...to('stopping'), reenter: true },
        // The stop that is under way goes on; what is to follow it has changed.
        'box.stopRequested': { guard: 'goesFurther', actions: 'record' },
        'box.lost': to('lost'),
      },
    },
    stopped: {
      tags: ['alreadyStopped', 'execStartsFirst'],
      on: removedByForce,
      initial: 'idle',
      states: atRest,
    },
    failed: { tags: ['alreadyStopped'], on: removedByForce, initial: 'idle', states: atRest },
    lost: {
      on: {
        // Recorded now, done once the box is found.
        'box.stopRequested': { guard: 'goesFurther', actions: 'record' },
        'box.removeRequested': { ...to('removing.nothing'), guard: 'isForced' },
        'box.found': [
          { ...to('stopping'), guard: 'stillRunsUnwanted' },
          { ...to('running'), guard: 'stillRuns' },
          { ...to('removing'), guard: 'awaitsRemoval' },
          to('stopped'),
        ],
      },
    },
    removing: {
      tags: ['alreadyStopped', 'alreadyRemoved'],
      initial: 'disk',
      on: { 'box.removed': to('removed'), 'box.renamed': {} },
      states: {
        disk: {
          ...waitsFor('disk.remove', diskRemovalIntent),
          on: {
            'box.removeFailed': { ...to('disk'), reenter: true },
            'box.lost': to('#box.lost'),
          },
        },
        nothing: {},
      },
    },
    removed: { tags: ['alreadyRemoved'], on: { 'box.renamed': {} } },
  },
});
