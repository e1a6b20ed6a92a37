import type { CopyCommand } from '../../events/commands.ts';
import type { CopyEvent } from '../../events/copy-events.ts';
import type { Refusal } from '../../kernel/errors.ts';
import { type CopyId, copyStream } from '../../kernel/ids.ts';
import type { Aggregate } from '../aggregate.ts';
import { accepted, emptyDraft, evolved, propose } from '../chart.ts';
import { alreadySo, type Decision, type DecisionContext, refused } from '../decision.ts';
import { type CopyState, copyDefinition, persistCopy, restoreCopy, takeCopyEvent } from './copy-machine.ts';

const decide = (
  state: CopyState | undefined,
  command: CopyCommand,
  context: DecisionContext,
): Decision<CopyState, CopyEvent> => {
  const { copyId } = command;
  const event = eventOf(command);
  const draft = emptyDraft<CopyState, CopyEvent>(state, copyStream(copyId), context);
  const next = propose(takeCopyEvent, draft, event);
  if (next) return accepted(next);
  const isSaid = state?.context.tenant === context.tenant && `copy.${state.value}` === event.type;
  return isSaid ? alreadySo : refused(otherEnd(copyId));
};

const eventOf = (command: CopyCommand): CopyEvent => {
  switch (command.type) {
    case 'copy.reportCompleted': {
      const { type: _, copyId: __, ...data } = command;
      return { type: 'copy.completed', data };
    }
    case 'copy.reportFailed': {
      const { type: _, copyId: __, ...data } = command;
      return { type: 'copy.failed', data };
    }
    default:
      return command satisfies never;
  }
};

const otherEnd = (copyId: CopyId): Refusal => ({
  code: 'InvalidState',
  message: `copy ${copyId} has ended otherwise`,
  help: 'Nothing needs to be done: how the copy ended is recorded already.',
  details: { copyId },
});

export const copyAggregate: Aggregate<CopyState, CopyCommand, CopyEvent> = {
  category: 'copy',
  definition: copyDefinition,
  streamOf: ({ copyId }) => copyStream(copyId),
  decide,
  evolve: (state, event) => evolved(takeCopyEvent(state, event), event),
  persist: persistCopy,
  restore: restoreCopy,
  view: () => null,
};
