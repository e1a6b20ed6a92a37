import type { Change, DiffResponse, ExplainResponse, GetAtResponse } from '../sdk/history.ts';
import { exitCodes } from './exit-codes.ts';
import { boxDetails } from './render-box.ts';
import { visible } from './visible.ts';

/** Answers about moments, to be read. */

export const boxAtText = ({ box, event }: GetAtResponse): string =>
  box === undefined
    ? ''
    : [
        `as of version ${box.version}, after ${visible(event?.type ?? '?')} at ${momentText(event?.occurredAt)}`,
        boxDetails(box),
      ].join('\n');

export const diffText = ({ from, to, view, statechart }: DiffResponse): string => {
  const name = visible(to?.name ?? from?.name ?? '');
  const heading = `${name}: version ${from?.version ?? '?'} → version ${to?.version ?? '?'}`;
  const seen = new Set(view.map(({ path }) => path));
  // What the statechart keeps has mostly the view's own names; the state it is in is the view's state and health.
  const inside = statechart.filter(
    ({ path }) => path.startsWith('context.') && !seen.has(path.slice('context.'.length)),
  );
  const lines = changeLines([
    ...view,
    ...inside.map((change) => ({ ...change, path: `(${change.path.slice('context.'.length)})` })),
  ]);
  return [heading, ...(lines.length === 0 ? ['  nothing differs'] : lines)].join('\n');
};

const changeLines = (changes: readonly Change[]): readonly string[] => {
  const width = Math.max(...changes.map(({ path }) => path.length));
  return changes.map(
    ({ path, beforeJson, afterJson }) =>
      `  ${visible(path).padEnd(width)}  ${valueText(beforeJson)} → ${valueText(afterJson)}`,
  );
};

const valueText = (json: string | undefined): string => visible(json ?? 'nothing').replace(/^"(.*)"$/s, '$1');

/** What would be, and the exit code that says it: a refusal is a finding. */
export const explainText = ({ box, answer }: ExplainResponse): { text: string; code: number } => {
  switch (answer?.$case) {
    case 'accepted': {
      const { events, effects, cancels } = answer.value;
      const states = [box?.state ?? '?', ...events.map(({ state }) => state).filter((state) => state !== '')];
      const way = states.filter((state, index) => state !== states[index - 1]).map(visible);
      const text = [
        `would be accepted: ${way.length > 1 ? way.join(' → ') : `the box stays ${way[0]}`}`,
        ...events.map(
          ({ type, version, dataJson, streamId, onceRunning }) =>
            `  event   ${visible(type)} (version ${version}${streamId === '' ? ' of a stream of its own' : ''})${
              onceRunning ? ', once the box is running' : ''
            }  ${visible(dataJson)}`,
        ),
        ...effects.map(
          ({ kind, hostId, notBefore, deadline }) =>
            `  effect  ${visible(kind)} on ${visible(hostId)}${
              notBefore === undefined ? '' : `, not before ${momentText(notBefore)}`
            }, to be done by ${momentText(deadline)}`,
        ),
        ...cancels.map((effectId) => `  cancels ${visible(effectId)}`),
      ].join('\n');
      return { text, code: 0 };
    }
    case 'alreadySo':
      return { text: `would change nothing: the box is ${visible(box?.state ?? '?')}`, code: 0 };
    case 'refused': {
      const { code, message, help } = answer.value;
      const text = [
        `would be refused: ${visible(message)} (${visible(code)})`,
        ...(help === '' ? [] : [`  ${visible(help)}`]),
      ].join('\n');
      return { text, code: exitCodes.findings };
    }
    default:
      return { text: 'the server’s answer is not one that this client knows', code: exitCodes.ownFailure };
  }
};

const momentText = (moment: Date | undefined): string => moment?.toISOString() ?? '?';
