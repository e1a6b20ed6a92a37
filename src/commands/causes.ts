import type { EffectKind } from '../events/effects.ts';
import { effectKindSchema } from '../events/effects.ts';
import type { RecordedEvent } from '../events/envelope.ts';
import { boxOfStream, type EffectId, effectIdFor, effectId as parseEffectId } from '../kernel/ids.ts';
import type { EffectMemory } from './log-history.ts';

/** A step on the way from a request to what became of it. */
export type CauseNode =
  /** A command, by the provenance that its events share. */
  | { readonly kind: 'ask'; readonly first: RecordedEvent }
  | { readonly kind: 'event'; readonly event: RecordedEvent }
  | {
      readonly kind: 'effect';
      readonly effectId: EffectId;
      readonly effect: EffectKind;
      /** Undefined when the outbox has forgotten it. */
      readonly memory: EffectMemory | undefined;
    }
  /** The try at an effect whose outcome `first` records. */
  | {
      readonly kind: 'attempt';
      readonly effectId: string;
      readonly number: number;
      readonly first: RecordedEvent;
    };

export interface CauseLink {
  /** 0 for what nothing here has led to. */
  readonly depth: number;
  readonly node: CauseNode;
}

interface Placed {
  readonly key: string;
  /** The key of what led to it. */
  readonly cause: string | undefined;
  readonly node: CauseNode;
}

/** The effects that events of boxes may have asked for: an effect's id follows from its event. */
export const effectsAskedBy = (events: readonly RecordedEvent[]): readonly EffectId[] =>
  events.flatMap((event) =>
    event.streamId.startsWith('box/') && 'timeoutMs' in event.data
      ? effectKindSchema.options.map((kind) => effectIdFor(boxOfStream(event.streamId), event.version, kind))
      : [],
  );

/**
 * The events of one request as a tree, each link after what led to it: command → event → effect → attempt → event …
 * Events name their command and what caused it; an effect's id names the event that asked for it; the command that brings
 * an effect's outcome is named after effect and attempt. `events` in the order they were appended.
 */
export const causalChain = (
  events: readonly RecordedEvent[],
  memories: readonly EffectMemory[],
): readonly CauseLink[] => inOrder(placed(events, memories));

const placed = (events: readonly RecordedEvent[], memories: readonly EffectMemory[]): readonly Placed[] => {
  const commands = new Map<string, RecordedEvent>();
  for (const event of events) if (!commands.has(event.commandId)) commands.set(event.commandId, event);
  const keys = new Set(events.map(eventKey));
  const known = new Map(memories.map((memory) => [memory.effectId, memory]));
  const settled = [...commands.values()].flatMap((first) => attemptOf(first)?.effectId ?? []);
  return [
    ...[...commands.values()].map(
      (first): Placed => ({
        key: `command ${first.commandId}`,
        cause: causeOf(first, keys),
        node: attemptOf(first) ?? { kind: 'ask', first },
      }),
    ),
    ...events.map(
      (event): Placed => ({
        key: eventKey(event),
        cause: `command ${event.commandId}`,
        node: { kind: 'event', event },
      }),
    ),
    ...[...new Set([...known.keys(), ...settled])].flatMap((effectId) => placedEffect(effectId, known)),
  ];
};

const eventKey = ({ streamId, version }: Pick<RecordedEvent, 'streamId'> & { version: bigint }) =>
  `event ${streamId}@${version}`;

const effectPattern = /^(bx_[0-9a-z]+)-([1-9]\d*)-([a-z]+\.[a-z]+)$/;
const attemptPattern = /^(.+)\.([1-9]\d*)$/;

/** Its effect and number, when the command is named after both and says that the effect caused it. */
const attemptOf = (first: RecordedEvent): Extract<CauseNode, { kind: 'attempt' }> | undefined => {
  const [, effectId, number] = attemptPattern.exec(first.commandId) ?? [];
  return effectId !== undefined && effectId === first.causationId && effectPattern.test(effectId)
    ? { kind: 'attempt', effectId, number: Number(number), first }
    : undefined;
};

/**
 * What led to a command: the effect, command or exec that its events name. A report that names nothing follows the first
 * event of its stream, if this request began it.
 */
const causeOf = (first: RecordedEvent, keys: ReadonlySet<string>): string | undefined => {
  const { causationId, streamId, version } = first;
  const begun = `event ${streamId}@1`;
  if (causationId === null) return version > 1n && keys.has(begun) ? begun : undefined;
  if (effectPattern.test(causationId)) return `effect ${causationId}`;
  if (causationId.startsWith('ex_')) return `event exec/${causationId}@1`;
  if (causationId.startsWith('cp_')) return `event copy/${causationId}@1`;
  return `command ${causationId}`;
};

const placedEffect = (effectId: string, known: ReadonlyMap<string, EffectMemory>): readonly Placed[] => {
  const [, box, version, kind] = effectPattern.exec(effectId) ?? [];
  const effect = effectKindSchema.safeParse(kind);
  if (!effect.success) return [];
  const memory = known.get(effectId);
  return [
    {
      key: `effect ${effectId}`,
      cause: `event box/${box}@${version}`,
      node: { kind: 'effect', effectId: parseEffectId(effectId), effect: effect.data, memory },
    },
  ];
};

/** Depth first, without recursion: a stop that is tried again for days makes a deep chain. */
const inOrder = (all: readonly Placed[]): readonly CauseLink[] => {
  const keys = new Set(all.map(({ key }) => key));
  const following = new Map<string, Placed[]>();
  for (const place of all) {
    const cause = place.cause !== undefined && keys.has(place.cause) ? place.cause : '';
    following.set(cause, [...(following.get(cause) ?? []), place]);
  }
  const links: CauseLink[] = [];
  const waiting = [...(following.get('') ?? [])].reverse().map((place) => ({ place, depth: 0 }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { place, depth } = next;
    links.push({ depth, node: place.node });
    const ledTo = following.get(place.key) ?? [];
    waiting.push(...[...ledTo].reverse().map((one) => ({ place: one, depth: depth + 1 })));
  }
  return links;
};
