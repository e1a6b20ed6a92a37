import type { z } from 'zod';
import { type CauseLink, causalChain, effectsAskedBy } from '../commands/causes.ts';
import type { BoxRecord } from '../commands/event-store.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import type { ChainLink, WhyResponse } from '../gen/boxledger/v1/history_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { boxStream, type CommandId, noVersion, type StreamId, type Version, version } from '../kernel/ids.ts';
import { msOf } from '../kernel/time.ts';
import type { ApiDeps } from './api-deps.ts';
import { findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { encodeEvent } from './encode.ts';
import type { whySchema } from './history-requests.ts';

/** Events of one request that are looked at: a stop that fails is tried again for as long as it takes. */
const eventsMax = 1_000;

/** How something came about. */
export const why =
  (deps: ApiDeps) =>
  async (
    { box: reference, version: at, commandId }: z.infer<typeof whySchema>,
    { caller: { tenant } }: CallScope,
  ): Promise<WhyResponse> => {
    const box = await findBox(deps, tenant, reference);
    const asked =
      commandId === undefined
        ? { event: await eventAt(deps, boxStream(box.boxId), at ?? box.version), alreadySo: false }
        : await answerTo(deps, box, commandId);
    const { event, alreadySo } = asked;
    if (event === undefined) throw noVersionYet(box, at);
    const events = await deps.history.correlated(tenant, event.correlationId, eventsMax + 1);
    const shown = events.slice(0, eventsMax);
    const memories = await deps.history.effects(effectsAskedBy(shown));
    return {
      event: encodeEvent(event, ''),
      alreadySo,
      links: causalChain(shown, memories).map(encodeLink),
      cutShort: events.length > eventsMax,
    };
  };

const eventAt = async (deps: ApiDeps, stream: StreamId, at: Version): Promise<RecordedEvent | undefined> =>
  (await deps.log.readStream(stream, version(at - 1n), 1))[0];

/** What a command led to, or what had made it needless. */
const answerTo = async (deps: ApiDeps, box: BoxRecord, commandId: CommandId) => {
  const answer = await deps.history.answerTo(box.tenant, commandId);
  const event = answer && (await eventAt(deps, answer.streamId, answer.version));
  const isOfBox = event !== undefined && (await boxOf(deps, event)) === box.boxId;
  if (!isOfBox)
    throw new BoxledgerError('NotFound', `No command ${commandId} was answered for box ${box.name}.`, {
      help: 'A refused command leaves no trace; an accepted one is named by its events.',
      details: { boxId: box.boxId, name: box.name, commandId },
    });
  return { event, alreadySo: answer?.kind === 'already-so' };
};

/** The box that an event is about. */
const boxOf = async (deps: ApiDeps, { streamId }: RecordedEvent): Promise<string | undefined> => {
  if (streamId.startsWith('box/')) return streamId.slice('box/'.length);
  const [first] = await deps.log.readStream(streamId, noVersion, 1);
  return first?.type === 'exec.requested' ? first.data.boxId : undefined;
};

const noVersionYet = ({ boxId, name, version: last }: BoxRecord, at: Version | undefined) =>
  new BoxledgerError('NotFound', `Box ${name} has no version ${at} yet.`, {
    help: `Its last is ${last}.`,
    details: { boxId, name, version: Number(last) },
  });

const encodeLink = ({ depth, node }: CauseLink): ChainLink => ({ depth, node: encodeNode(node) });

const encodeNode = (node: CauseLink['node']): ChainLink['node'] => {
  switch (node.kind) {
    case 'ask': {
      const { commandId, actor, reason, causationId, traceparent, occurredAt } = node.first;
      return {
        $case: 'ask',
        value: {
          commandId,
          actor,
          reason: reason ?? undefined,
          causationId: causationId ?? undefined,
          traceparent: traceparent ?? undefined,
          at: new Date(msOf(occurredAt)),
        },
      };
    }
    case 'event':
      return { $case: 'event', value: encodeEvent(node.event, '') };
    case 'effect': {
      const { effectId, effect, memory } = node;
      return {
        $case: 'effect',
        value: {
          effectId,
          kind: effect,
          state: memory?.state,
          hostId: memory?.hostId,
          attempts: memory?.attempts,
          deadline: memory && new Date(msOf(memory.deadline)),
          lastErrorJson: memory?.lastError == null ? undefined : JSON.stringify(memory.lastError),
        },
      };
    }
    case 'attempt': {
      const { effectId, number, first } = node;
      const { actor, occurredAt } = first;
      return { $case: 'attempt', value: { effectId, number, actor, endedAt: new Date(msOf(occurredAt)) } };
    }
    default:
      return node satisfies never;
  }
};
