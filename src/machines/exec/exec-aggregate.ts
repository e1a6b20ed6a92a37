import type { ExecCommand } from '../../events/commands.ts';
import type { ExecEvent } from '../../events/exec-events.ts';
import type { Refusal } from '../../kernel/errors.ts';
import { type ExecId, execStream } from '../../kernel/ids.ts';
import type { Aggregate } from '../aggregate.ts';
import { accepted, emptyDraft, evolved, propose } from '../chart.ts';
import { alreadySo, type Decision, type DecisionContext, refused } from '../decision.ts';
import { type ExecState, execDefinition, persistExec, restoreExec, takeExecEvent } from './exec-machine.ts';

const decide = (
  state: ExecState | undefined,
  command: ExecCommand,
  context: DecisionContext,
): Decision<ExecState, ExecEvent> => {
  const { execId } = command;
  const isRequest = command.type === 'exec.request';
  if (!isRequest && state?.context.tenant !== context.tenant) return refused(noSuchExec(execId));
  const empty = emptyDraft<ExecState, ExecEvent>(state, execStream(execId), context);
  const startsFirst = command.type === 'exec.reportExited' && state?.matches('requested') === true;
  const started = startsFirst ? propose(takeExecEvent, empty, startedAs(command.pid)) : undefined;
  const draft = started ?? empty;
  const next = propose(takeExecEvent, draft, eventOf(command));
  if (next) return accepted(next);
  if (state === undefined || isRequest) return refused(execExists(execId));
  return saysWhatIsSo(state, command) ? alreadySo : refused(cannotBecome(execId, state, command));
};

const eventOf = (command: ExecCommand): ExecEvent => {
  switch (command.type) {
    case 'exec.request': {
      const { boxId, generation, recorded } = command;
      const { workingDir = null, user = null, tty, timeoutMs = null } = command.spec;
      return {
        type: 'exec.requested',
        data: { boxId, generation, ...recorded, workingDir, user, tty: tty !== undefined, timeoutMs },
      };
    }
    case 'exec.reportStarted':
      return startedAs(command.pid);
    case 'exec.reportExited': {
      const { exit, timedOut, durationMs, stdoutBytes, stderrBytes } = command;
      return { type: 'exec.exited', data: { exit, timedOut, durationMs, stdoutBytes, stderrBytes } };
    }
    case 'exec.reportFailed':
      return { type: 'exec.failed', data: { failure: command.failure } };
    case 'exec.reportLost':
      return { type: 'exec.lost', data: { failure: command.failure } };
    default:
      return command satisfies never;
  }
};

const startedAs = (pid: number): ExecEvent => ({ type: 'exec.started', data: { pid } });

/** The same report once more. Of an end, the first report counts, whatever a later one adds. */
const saysWhatIsSo = (state: ExecState, command: Exclude<ExecCommand, { type: 'exec.request' }>): boolean => {
  switch (command.type) {
    case 'exec.reportStarted':
      return state.context.pid === command.pid;
    case 'exec.reportExited':
      return state.matches('exited');
    case 'exec.reportFailed':
      return state.matches('failed');
    case 'exec.reportLost':
      return state.hasTag('over');
    default:
      return command satisfies never;
  }
};

const noSuchExec = (execId: ExecId): Refusal => ({
  code: 'NotFound',
  message: `there is no exec ${execId}`,
  details: { execId },
});

const execExists = (execId: ExecId): Refusal => ({
  code: 'AlreadyExists',
  message: `there is an exec ${execId} already`,
  help: 'Request the exec with another id.',
  details: { execId },
});

const cannotBecome = (execId: ExecId, { value }: ExecState, { type }: ExecCommand): Refusal => ({
  code: 'InvalidState',
  message: `exec ${execId} is ${value}: ${type} does not fit`,
  help: 'Nothing needs to be done: how the exec ended is recorded already, or it has not started.',
  details: { execId, state: value },
});

export const execAggregate: Aggregate<ExecState, ExecCommand, ExecEvent> = {
  category: 'exec',
  definition: execDefinition,
  streamOf: ({ execId }) => execStream(execId),
  decide,
  evolve: (state, event) => evolved(takeExecEvent(state, event), event),
  persist: persistExec,
  restore: restoreExec,
  view: () => null,
};
