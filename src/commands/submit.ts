import type { Command } from '../events/commands.ts';
import type { EffectIntent } from '../events/effects.ts';
import type { DomainEvent, Provenance } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import type { CrashProbe } from '../kernel/crash-point.ts';
import { BoxledgerError, type Refusal } from '../kernel/errors.ts';
import { type CommandId, version } from '../kernel/ids.ts';
import type { Clock, IdSource } from '../kernel/ports.ts';
import type { Timestamp } from '../kernel/time.ts';
import type { Decision } from '../machines/decision.ts';
import { type AnyAggregate, aggregateForCommand, aggregateForStream } from './aggregates.ts';
import { commandDigest } from './command-digest.ts';
import { claimRefusal, nameRefusal, reusedRefusal } from './command-refusals.ts';
import { decideOn } from './decide-on.ts';
import type { Answer, CommandDoor, CommandMemory, CommandMeta } from './door.ts';
import type { AppendRequest, AppendResult, EventLog, EventStore, StreamAppend } from './event-store.ts';
import { beginning, streamAppend } from './stream-append.ts';
import { emptyStream } from './stream-events.ts';
import type { StreamState } from './stream-state.ts';
import { StreamStates } from './stream-states.ts';

export interface DoorOptions {
  readonly store: EventStore;
  readonly log: EventLog;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Told of each commit's effects; must neither throw nor wait. */
  readonly onEffects: (effects: readonly EffectIntent[]) => void;
  readonly crash: CrashProbe;
  /** How many streams' states are kept in memory between commands. */
  readonly keepStates: number;
}

/** How often a command is decided anew because its stream had moved on; past that the caller is asked to come again. */
const conflictsMax = 20;

/** Commands whose stream is most likely new. Where it is not, the append says so. */
const opensStream: Partial<Record<Command['type'], true>> = {
  'box.create': true,
  'exec.request': true,
  'copy.reportCompleted': true,
  'copy.reportFailed': true,
};

/** A command on its way: what does not change however often it is decided. */
interface Passage {
  readonly command: Command;
  readonly meta: CommandMeta;
  readonly aggregate: AnyAggregate;
  readonly commandId: CommandId;
  readonly digest: string;
}

/** What was decided, on which state, and at which moment: the events are dated with it. */
interface Verdict {
  readonly stream: StreamState;
  readonly now: Timestamp;
  readonly decision: Decision<unknown, DomainEvent>;
}

type Accepted = Extract<Verdict['decision'], { kind: 'accepted' }>;

/**
 * The one door. A command is decided on the state kept from the last one, or on no state where it is to be the first, so
 * that its whole way is one round trip; what would be refused or already so on that state is looked at again on a fresh
 * one before the caller hears it.
 */
export class Door implements CommandDoor, CommandMemory {
  readonly #options: DoorOptions;
  readonly #states: StreamStates;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#states = new StreamStates(options.store, options.log, options.keepStates);
  }

  async submit(command: Command, meta: CommandMeta): Promise<Answer> {
    const passage = this.#passage(command, meta);
    const { aggregate } = passage;
    const streamId = aggregate.streamOf(command);
    const assumed = this.#states.kept(streamId) ?? (opensStream[command.type] && emptyStream(streamId));
    let verdict = this.#decide(passage, assumed ?? (await this.#states.load(streamId)));
    if (assumed !== undefined && verdict.decision.kind !== 'accepted')
      verdict = this.#decide(passage, await this.#states.load(streamId));
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const answer = await this.#answer(passage, verdict);
      if (answer !== 'version-conflict') return answer;
      verdict = this.#decide(passage, await this.#states.load(streamId));
    }
    throw new BoxledgerError(
      'Unavailable',
      `${streamId} changed ${conflictsMax} times while the command was decided`,
      {
        help: 'Call again with the same command id.',
      },
    );
  }

  answered(command: Command, meta: CommandMeta): Promise<Answer | undefined> {
    return this.#answeredBefore(this.#passage(command, meta));
  }

  #passage(command: Command, meta: CommandMeta): Passage {
    const commandId = meta.commandId ?? this.#options.ids.commandId();
    const aggregate = aggregateForCommand(command);
    return { command, meta, aggregate, commandId, digest: commandDigest(command) };
  }

  #decide({ command, meta, aggregate }: Passage, stream: StreamState): Verdict {
    const now = this.#options.clock.now();
    const decision = decideOn(aggregate, stream, command, meta, now);
    return { stream, now, decision };
  }

  async #answer(passage: Passage, verdict: Verdict): Promise<Answer | 'version-conflict'> {
    const { decision } = verdict;
    switch (decision.kind) {
      case 'accepted':
        return this.#append(passage, verdict, decision);
      case 'already-so':
        return this.#alreadySo(passage, verdict);
      case 'refused':
        return (await this.#answeredBefore(passage)) ?? decision;
      default:
        return decision satisfies never;
    }
  }

  async #append(
    passage: Passage,
    verdict: Verdict,
    accepted: Accepted,
  ): Promise<Answer | 'version-conflict'> {
    const { command, meta, aggregate } = passage;
    this.#options.crash('append.before', command.type);
    const appends = [
      streamAppend(aggregate, verdict.stream, accepted),
      ...accepted.begins.map((begun) => beginning(aggregate, begun)),
    ];
    const result = await this.#options.store.append(this.#request(passage, verdict, appends));
    if (result.kind !== 'appended') return this.#notAppended(passage, result);
    this.#options.crash('append.after', command.type);
    const [appended, ...others] = result.streams;
    assert(appended !== undefined, 'an append answers with the streams that it was given');
    this.#states.keep(appended, accepted.state, meta.tenant);
    for (const [index, { state }] of accepted.begins.entries()) {
      const other = others[index];
      if (other !== undefined) this.#states.keep(other, state, meta.tenant);
    }
    this.#options.onEffects(accepted.effects);
    return {
      kind: 'accepted',
      streamId: appended.streamId,
      version: appended.version,
      events: result.streams.flatMap(({ events }) => events),
      view: aggregate.view(accepted.state),
    };
  }

  async #notAppended(
    passage: Passage,
    result: Exclude<AppendResult, { kind: 'appended' }>,
  ): Promise<Answer | 'version-conflict'> {
    switch (result.kind) {
      case 'version-conflict':
        this.#states.forget(result.streamId);
        return 'version-conflict';
      case 'answered-before':
        return this.#firstAnswer(result.answer);
      case 'command-reused':
        return { kind: 'refused', refusal: reusedRefusal(passage.commandId) };
      case 'name-taken':
        return (
          (await this.#answeredBefore(passage)) ??
          (await this.#settledAsFailed(passage, nameRefusal(result.name))) ?? {
            kind: 'refused',
            refusal: nameRefusal(result.name),
          }
        );
      case 'claim-lost':
        return (await this.#answeredBefore(passage)) ?? { kind: 'refused', refusal: claimRefusal };
      default:
        return result satisfies never;
    }
  }

  /** An effect's success that cannot be recorded is its failure: whoever waits for its outcome is not left waiting. */
  async #settledAsFailed(
    passage: Passage,
    refusal: Refusal,
  ): Promise<Answer | 'version-conflict' | undefined> {
    const { command } = passage;
    if (command.type !== 'box.settleEffect' || command.outcome.outcome.status === 'failed') return undefined;
    const { code, message } = refusal;
    const outcome = {
      kind: command.outcome.kind,
      outcome: { status: 'failed' as const, failure: { code, message } },
    };
    const stream = await this.#states.load(passage.aggregate.streamOf(command));
    const failing = { ...passage, command: { ...command, outcome } };
    return this.#answer(failing, this.#decide(failing, stream));
  }

  /** Success with nothing to append. Kept only under an id that the caller chose: nobody can repeat any other. */
  async #alreadySo(passage: Passage, verdict: Verdict): Promise<Answer> {
    const { stream } = verdict;
    if (passage.meta.commandId !== undefined) {
      const result = await this.#options.store.append(this.#request(passage, verdict, []));
      if (result.kind !== 'appended') {
        const other = await this.#notAppended(passage, result);
        if (other !== 'version-conflict') return other;
      }
    }
    return {
      kind: 'already-so',
      streamId: stream.streamId,
      version: stream.version,
      events: [],
      view: stream.state === undefined ? null : passage.aggregate.view(stream.state),
    };
  }

  /** A command that was answered before gets its first answer, whatever is so by now. */
  async #answeredBefore({ commandId, digest, meta }: Passage): Promise<Answer | undefined> {
    if (meta.commandId === undefined) return undefined;
    const earlier = await this.#options.store.answerOf(meta.tenant, commandId, digest);
    if (earlier === undefined) return undefined;
    return earlier.kind === 'command-reused'
      ? { kind: 'refused', refusal: reusedRefusal(commandId) }
      : this.#firstAnswer(earlier.answer);
  }

  async #firstAnswer({ kind, streamId, version }: AppendRequest['command']['answer']): Promise<Answer> {
    const stream = await this.#states.foldTo(streamId, version);
    return { kind, streamId, version, events: [], view: aggregateForStream(streamId).view(stream.state) };
  }

  /** `streams`: that of the command first; empty when it is only the answer that is to be kept. */
  #request(passage: Passage, { stream, now }: Verdict, streams: readonly StreamAppend[]): AppendRequest {
    const { meta, commandId, digest } = passage;
    const [append] = streams;
    const kind = append === undefined ? 'already-so' : 'accepted';
    const after = version(stream.version + BigInt(append?.events.length ?? 0));
    return {
      command: { id: commandId, digest, answer: { kind, streamId: stream.streamId, version: after } },
      provenance: this.#provenance(meta, commandId),
      occurredAt: now,
      streams,
      settles: meta.settles ?? null,
    };
  }

  #provenance(meta: CommandMeta, commandId: CommandId): Provenance {
    return {
      tenant: meta.tenant,
      actor: meta.actor,
      reason: meta.reason ?? null,
      commandId,
      correlationId: meta.correlationId ?? this.#options.ids.correlationId(),
      causationId: meta.causationId ?? null,
      traceparent: meta.traceparent ?? null,
    };
  }
}
