import type { BoxCommand } from '../../events/commands.ts';
import type { Origin } from '../../events/disk-operations.ts';
import { assert } from '../../kernel/assert.ts';
import { boxStream, type HostId } from '../../kernel/ids.ts';
import { accepted, emptyDraft, propose } from '../chart.ts';
import { alreadySo, type DecisionContext, refused } from '../decision.ts';
import { type BoxCase, type BoxDecision, type BoxDraft, type CommandOf, conclude, take } from './box-case.ts';
import type { BoxContext } from './box-context.ts';
import { boxExists, cannot, noSuchBox } from './box-refusals.ts';
import { type BoxState, takeBoxEvent, topState } from './box-state.ts';

import {
  bootTimeoutMs,
  diskRemoveTimeoutMs,
  memoryOnDiskMs,
  pauseTimeoutMs,
  resumeTimeoutMs,
  stopTimeoutMs,
} from './box-timeouts.ts';
import { clone, exportBox, removeSnapshot, restore, snapshot } from './decide-operation.ts';
import { reportExit, reportHealth, settleEffect } from './settle-effect.ts';

/** The answer of a box to a command: which events it leads to, if the statechart can take them. */
export const decideBox = (
  box: BoxState | undefined,
  command: BoxCommand,
  context: DecisionContext,
): BoxDecision => {
  const draft: BoxDraft = emptyDraft(box, boxStream(command.boxId), context);
  if (command.type === 'box.create') return create(draft, command);
  if (command.type === 'box.import') return importBox(draft, command);
  if (box === undefined || box.context.tenant !== context.tenant) return refused(noSuchBox(command.boxId));
  const it: BoxCase = { box, draft };
  // What comes late to a removed box is stale like anything late; its users meet a box that is not there.
  if (command.type === 'box.settleEffect') return settleEffect(it, command);
  if (command.type === 'box.reportExit') return reportExit(it, command);
  if (command.type === 'box.reportHealth') return reportHealth(it, command);
  if (topState(box) === 'removed' && command.type !== 'box.remove') return refused(noSuchBox(command.boxId));
  switch (command.type) {
    case 'box.start':
      return start(it, command);
    case 'box.stop':
      return stop(it, command);
    case 'box.pause':
      return pause(it, command);
    case 'box.resume':
      if (box.hasTag('alreadyResumed')) return alreadySo;
      return (
        take(it, { type: 'box.resumeRequested', data: { timeoutMs: resumeTimeoutOf(it.box.context) } }) ??
        refused(cannot('resume', box))
      );
    case 'box.remove':
      return remove(it, command);
    case 'box.restart':
      return restart(it, command);
    case 'box.rename':
      return rename(it, command);
    case 'box.snapshot':
      return snapshot(it, command);
    case 'box.removeSnapshot':
      return removeSnapshot(it, command);
    case 'box.restore':
      return restore(it, command);
    case 'box.clone':
      return clone(it, command);
    case 'box.export':
      return exportBox(it, command);
    default:
      return command satisfies never;
  }
};

const create = (draft: BoxDraft, { boxId, name, options }: CommandOf<'box.create'>): BoxDecision => {
  const next = propose(takeBoxEvent, draft, { type: 'box.created', data: { name, options } });
  return next ? accepted(next) : refused(boxExists(boxId));
};

/** Its disk is there already, unpacked from an archive. */
const importBox = (
  draft: BoxDraft,
  { boxId, name, options, placement, archive }: CommandOf<'box.import'>,
): BoxDecision => {
  const from: Origin = { kind: 'import', ...archive };
  const next = propose(takeBoxEvent, draft, {
    type: 'box.created',
    data: { name, options, origin: { from, placement } },
  });
  return next ? accepted(next) : refused(boxExists(boxId));
};

const rename = (it: BoxCase, { name }: CommandOf<'box.rename'>): BoxDecision => {
  if (it.box.context.name === name) return alreadySo;
  return take(it, { type: 'box.renamed', data: { name } }) ?? refused(cannot('rename', it.box));
};

const pause = (it: BoxCase, { maxDurationMs, toDisk }: CommandOf<'box.pause'>): BoxDecision => {
  const { options, pause: known } = it.box.context;
  if (it.box.hasTag('alreadyPaused'))
    return toDisk === true && known?.toDisk === false
      ? refused(cannot('pause', it.box, 'Its memory is not on disk. Resume it first.'))
      : alreadySo;
  const data = {
    timeoutMs: pauseTimeoutMs + (toDisk === true ? memoryOnDiskMs(options.memoryMib) : 0),
    ...(maxDurationMs !== undefined && { maxDurationMs }),
    ...(toDisk === true && { toDisk }),
  };
  return take(it, { type: 'box.pauseRequested', data }) ?? refused(cannot('pause', it.box));
};

const resumeTimeoutOf = ({ pause, options }: BoxContext): number =>
  pause?.toDisk === true ? resumeTimeoutMs + memoryOnDiskMs(options.memoryMib) : resumeTimeoutMs;

/** Of a box that does not run: a start. */
const restart = (it: BoxCase, { boxId, placement, timeoutMs }: CommandOf<'box.restart'>): BoxDecision => {
  const { box } = it;
  if (topState(box) === 'starting' || box.context.goal === 'restart') return alreadySo;
  if (topState(box) === 'lost') return refused(cannot('start', box));
  const stopFirst = take(it, {
    type: 'box.stopRequested',
    data: { timeoutMs: stopTimeoutMs(timeoutMs), thenRemove: false, thenStart: true },
  });
  return stopFirst ?? start(it, { type: 'box.start', boxId, placement });
};

const start = (it: BoxCase, { placement }: CommandOf<'box.start'>): BoxDecision => {
  const { box } = it;
  if (box.hasTag('alreadyStarted')) return alreadySo;
  const generation = box.context.generation + 1;
  const decision = take(it, {
    type: 'box.startRequested',
    data: { placement, generation, timeoutMs: bootTimeoutMs },
  });
  return decision ?? refused(cannot('start', box, helpOfStart(box, placement.hostId)));
};

/** A box at rest that cannot be started can be elsewhere: only a host that has its disk can reuse it. */
const helpOfStart = (box: BoxState, hostId: HostId): string | undefined => {
  const home = box.context.placement?.hostId;
  const atRest = topState(box) === 'stopped' || topState(box) === 'failed';
  return atRest && home !== undefined && home !== hostId
    ? `Start it on host ${home}, where its disk is.`
    : undefined;
};

const stop = (it: BoxCase, { timeoutMs }: CommandOf<'box.stop'>): BoxDecision => {
  const wasToStartAgain = it.box.context.goal === 'restart';
  if (it.box.hasTag('alreadyStopped') && !wasToStartAgain) return alreadySo;
  const asked = take(it, {
    type: 'box.stopRequested',
    data: { timeoutMs: stopTimeoutMs(timeoutMs), thenRemove: false },
  });
  // What is left is a lost box that has been asked before: the wish waits in it until it is found.
  return asked ?? alreadySo;
};

const remove = (it: BoxCase, { force }: CommandOf<'box.remove'>): BoxDecision => {
  const { box, draft } = it;
  if (box.hasTag('alreadyRemoved')) return alreadySo;
  const asked = propose(takeBoxEvent, draft, {
    type: 'box.removeRequested',
    data: { timeoutMs: diskRemoveTimeoutMs, force },
  });
  if (asked)
    return conclude(box, asked.state?.matches({ removing: 'nothing' }) ? removedAtOnce(asked) : asked);
  if (!force) return refused(cannot('remove', box));
  const stopFirst = take(it, {
    type: 'box.stopRequested',
    data: { timeoutMs: stopTimeoutMs(), thenRemove: true },
  });
  // What is left is a box that is stopping in order to be removed.
  return stopFirst ?? alreadySo;
};

/** There is no disk, or none that could be reached: nothing to wait for. */
const removedAtOnce = (draft: BoxDraft): BoxDraft => {
  const diskAbandoned = draft.state?.context.hasDisk === true;
  const removed = propose(takeBoxEvent, draft, { type: 'box.removed', data: { diskAbandoned } });
  assert(removed, 'a box that is being removed can always have been');
  return removed;
};
