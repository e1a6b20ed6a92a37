/**
 * The statechart of a box. Its events are the log's own, so the chart is the grammar of a box's stream: what it takes
 * may be appended, and nothing else.
 *
 * 1. Every transition records; what is remembered of an event does not depend on the state (`remember`).
 * 2. Every in-between state asks for its effect on entry and forgets it on exit, so `context.effect` is set in these
 *    states and in no other. The one exception is `removing.nothing`, which nobody rests in: there is no disk that could
 *    be reached, so `box.removed` follows in the same append.
 * 3. Tags are the cells of the table in box-lifecycle.md where a command changes nothing ("already so") and its column
 *    for exec and copy. Whatever has neither a transition nor a tag is refused.
 */
import { assign, setup } from 'xstate';
import type { EffectKind } from '../../events/effects.ts';
import { type BoxChartEvent, type BoxContext, inFlight, remember, unborn } from './box-context.ts';
import {
  bootIntent,
  diskRemovalIntent,
  type IntentOf,
  pauseIntent,
  resumeIntent,
  shutdownIntent,
} from './box-intents.ts';

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
    forgetEffect: assign({ effect: null }),
    'vm.boot': asData<'vm.boot'>,
    'vm.shutdown': asData<'vm.shutdown'>,
    'vm.pause': asData<'vm.pause'>,
    'vm.resume': asData<'vm.resume'>,
    'disk.remove': asData<'disk.remove'>,
  },
  guards: {
    /** The next generation, and where the disk is if there is one. */
    isNextStart: ({ context, event }) =>
      event.type === 'box.startRequested' &&
      event.data.generation === context.generation + 1 &&
      (!context.hasDisk || event.data.placement.hostId === context.placement?.hostId),
    isForced: ({ event }) => event.type === 'box.removeRequested' && event.data.force,
    goesFurther: ({ context, event }) =>
      event.type === 'box.stopRequested' && event.data.thenRemove && context.goal !== 'remove',
    isFirstWish: ({ context }) => context.goal === 'none',
    stillRuns: ({ event }) => event.type === 'box.found' && event.data.process !== null,
    stillRunsUnwanted: ({ context, event }) =>
      event.type === 'box.found' && event.data.process !== null && context.goal !== 'none',
    awaitsRemoval: ({ context }) => context.goal === 'remove',
    becomes: ({ event }, { health }: { health: string }) =>
      event.type === 'box.healthChanged' && event.data.health === health,
    holdsFor: ({ event }, { operation }: { operation: string }) =>
      event.type === 'box.bracketOpened' && event.data.operation === operation,
  },
});

const to = <const Target extends string>(target: Target) => ({ target, actions: 'record' }) as const;
const endsOrIsLost = { 'box.exited': to('stopped'), 'box.lost': to('lost') } as const;
const isHeld = { on: { 'box.bracketClosed': to('none') } } as const;

export const boxMachine = chart.createMachine({
  id: 'box',
  context: unborn,
  initial: 'absent',
  states: {
    absent: { on: { 'box.created': to('configured') } },
    configured: {
      tags: ['alreadyStopped', 'execStartsFirst'],
      on: {
        'box.startRequested': { ...to('starting'), guard: 'isNextStart' },
        'box.removeRequested': to('removing.nothing'),
      },
    },
    starting: {
      tags: ['alreadyStarted', 'execWaits'],
      entry: [
        { type: 'awaitOutcome', params: { of: 'vm.boot' } },
        { type: 'vm.boot', params: bootIntent },
      ],
      exit: 'forgetEffect',
      on: {
        'box.started': to('running'),
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
              { ...to('.none'), guard: { type: 'becomes', params: { health: 'none' } } },
              { ...to('.starting'), guard: { type: 'becomes', params: { health: 'starting' } } },
              { ...to('.healthy'), guard: { type: 'becomes', params: { health: 'healthy' } } },
              { ...to('.unhealthy'), guard: { type: 'becomes', params: { health: 'unhealthy' } } },
            ],
          },
          states: { none: {}, starting: {}, healthy: {}, unhealthy: {} },
        },
        bracket: {
          initial: 'none',
          states: {
            none: {
              on: {
                'box.pauseRequested': to('#box.pausing'),
                'box.bracketOpened': [
                  { ...to('snapshot'), guard: { type: 'holdsFor', params: { operation: 'snapshot' } } },
                  { ...to('clone'), guard: { type: 'holdsFor', params: { operation: 'clone' } } },
                  { ...to('export'), guard: { type: 'holdsFor', params: { operation: 'export' } } },
                ],
              },
            },
            snapshot: isHeld,
            clone: isHeld,
            export: isHeld,
          },
        },
      },
    },
    pausing: {
      tags: ['alreadyPaused'],
      entry: [
        { type: 'awaitOutcome', params: { of: 'vm.pause' } },
        { type: 'vm.pause', params: pauseIntent },
      ],
      exit: 'forgetEffect',
      on: {
        'box.paused': to('paused'),
        'box.pauseFailed': to('running'),
        'box.stopRequested': to('stopping'),
        ...endsOrIsLost,
      },
    },
    paused: {
      tags: ['alreadyPaused'],
      on: {
        'box.resumeRequested': to('resuming'),
        'box.stopRequested': to('stopping'),
        ...endsOrIsLost,
      },
    },
    resuming: {
      tags: ['alreadyResumed'],
      entry: [
        { type: 'awaitOutcome', params: { of: 'vm.resume' } },
        { type: 'vm.resume', params: resumeIntent },
      ],
      exit: 'forgetEffect',
      on: {
        'box.resumed': to('running'),
        'box.resumeFailed': to('paused'),
        'box.stopRequested': to('stopping'),
        ...endsOrIsLost,
      },
    },
    stopping: {
      tags: ['alreadyStopped'],
      entry: [
        { type: 'awaitOutcome', params: { of: 'vm.shutdown' } },
        { type: 'vm.shutdown', params: shutdownIntent },
      ],
      exit: 'forgetEffect',
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
      on: {
        'box.startRequested': { ...to('starting'), guard: 'isNextStart' },
        'box.removeRequested': to('removing'),
      },
    },
    failed: {
      tags: ['alreadyStopped'],
      on: {
        'box.startRequested': { ...to('starting'), guard: 'isNextStart' },
        'box.removeRequested': to('removing'),
      },
    },
    lost: {
      on: {
        // Recorded now, done once the box is found.
        'box.stopRequested': { guard: 'isFirstWish', actions: 'record' },
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
      on: { 'box.removed': to('removed') },
      states: {
        disk: {
          entry: [
            { type: 'awaitOutcome', params: { of: 'disk.remove' } },
            { type: 'disk.remove', params: diskRemovalIntent },
          ],
          exit: 'forgetEffect',
          on: {
            'box.removeFailed': { ...to('disk'), reenter: true },
            'box.lost': to('#box.lost'),
          },
        },
        nothing: {},
      },
    },
    removed: { tags: ['alreadyRemoved'] },
  },
});
