import type { Command } from '../events/commands.ts';
import type { DomainEvent } from '../events/envelope.ts';
import { assert } from '../kernel/assert.ts';
import type { StreamId } from '../kernel/ids.ts';
import type { Aggregate } from '../machines/aggregate.ts';
import { boxAggregate } from '../machines/box/box-aggregate.ts';
import { copyAggregate } from '../machines/copy/copy-aggregate.ts';
import { execAggregate } from '../machines/exec/exec-aggregate.ts';
import { hostAggregate } from '../machines/host/host-aggregate.ts';

/**
 * Any aggregate, for code that carries states from one of its methods to another without looking at them. Sound as long
 * as an aggregate is given only its own commands, events and states, which is so when all of them come from the
 * stream or command that it was looked up by.
 */
export type AnyAggregate = Aggregate<unknown, Command, DomainEvent>;

type Category = AnyAggregate['category'];

// The one place where the types of state, command and event are forgotten.
const aggregates: { readonly [Key in Category]: AnyAggregate } = {
  box: boxAggregate,
  exec: execAggregate,
  copy: copyAggregate,
  host: hostAggregate,
};

export const aggregateOf = (category: Category): AnyAggregate => aggregates[category];

const isCategory = (text: string): text is Category => Object.hasOwn(aggregates, text);

const lookUp = (text: string, separator: string): AnyAggregate => {
  const category = text.slice(0, text.indexOf(separator));
  assert(isCategory(category), `${text} belongs to no aggregate`);
  return aggregateOf(category);
};

/** By the first part of a stream's id. */
export const aggregateForStream = (streamId: StreamId): AnyAggregate => lookUp(streamId, '/');

/** By the first part of a command's type. */
export const aggregateForCommand = ({ type }: Command): AnyAggregate => lookUp(type, '.');
