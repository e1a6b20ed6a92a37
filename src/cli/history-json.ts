import type { JsonObject, JsonValue } from '../kernel/json.ts';
import type { ChainLink, Change, DiffResponse, ExplainResponse, WhyResponse } from '../sdk/history.ts';
import { boxJson, eventJson, parsedJson } from './json-forms.ts';
import { momentJson, numberJson } from './json-values.ts';

/** What `--json` prints of answers about moments. */

export const diffJson = ({ from, to, view, statechart }: DiffResponse): JsonObject => ({
  from: from === undefined ? null : boxJson(from),
  to: to === undefined ? null : boxJson(to),
  view: view.map(changeJson),
  statechart: statechart.map(changeJson),
});

/** `before` or `after` is left out where there was, or is, nothing: null is a value. */
const changeJson = ({ path, beforeJson, afterJson }: Change): JsonObject => ({
  path,
  ...(beforeJson === undefined ? {} : { before: parsedJson(beforeJson) }),
  ...(afterJson === undefined ? {} : { after: parsedJson(afterJson) }),
});

export const whyJson = ({ event, alreadySo, links, cutShort }: WhyResponse): JsonObject => ({
  event: event === undefined ? null : eventJson(event),
  alreadySo,
  links: links.map(linkJson),
  cutShort,
});

const linkJson = ({ depth, node }: ChainLink): JsonObject => {
  switch (node?.$case) {
    case 'ask': {
      const { commandId, actor, reason, causationId, traceparent, at } = node.value;
      return {
        depth,
        kind: 'ask',
        commandId,
        actor: { kind: actor?.kind ?? '', id: actor?.id ?? '' },
        reason: reason ?? null,
        causationId: causationId ?? null,
        traceparent: traceparent ?? null,
        at: momentJson(at),
      };
    }
    case 'event':
      return { depth, kind: 'event', event: eventJson(node.value) };
    case 'effect': {
      const { effectId, kind, state, hostId, attempts, deadline, lastErrorJson } = node.value;
      return {
        depth,
        kind: 'effect',
        effectId,
        effect: kind,
        state: state ?? null,
        hostId: hostId ?? null,
        attempts: attempts ?? null,
        deadline: momentJson(deadline),
        lastError: lastErrorJson === undefined ? null : parsedJson(lastErrorJson),
      };
    }
    case 'attempt': {
      const { effectId, number, actor, endedAt } = node.value;
      const by = { kind: actor?.kind ?? '', id: actor?.id ?? '' };
      return { depth, kind: 'attempt', effectId, number, actor: by, endedAt: momentJson(endedAt) };
    }
    default:
      return { depth, kind: 'unknown' };
  }
};

export const explainJson = ({ box, answer }: ExplainResponse): JsonObject => ({
  box: box === undefined ? null : boxJson(box),
  ...answerJson(answer),
});

const answerJson = (answer: ExplainResponse['answer']): JsonObject => {
  switch (answer?.$case) {
    case 'accepted': {
      const { box, events, effects, cancels } = answer.value;
      return {
        answer: 'accepted',
        after: box === undefined ? null : boxJson(box),
        events: events.map(({ streamId, version, type, dataJson, state, onceRunning }) => ({
          streamId: streamId === '' ? null : streamId,
          version: numberJson(version),
          type,
          data: parsedJson(dataJson),
          state: state === '' ? null : state,
          onceRunning,
        })),
        effects: effects.map(({ effectId, kind, hostId, notBefore, deadline }) => ({
          effectId,
          kind,
          hostId,
          notBefore: momentJson(notBefore),
          deadline: momentJson(deadline),
        })),
        cancels,
      };
    }
    case 'alreadySo':
      return { answer: 'already-so' };
    case 'refused': {
      const { code, message, help, detailsJson } = answer.value;
      const details: JsonValue = parsedJson(detailsJson || '{}');
      return { answer: 'refused', code, message, help: help === '' ? null : help, details };
    }
    default:
      return { answer: null };
  }
};
