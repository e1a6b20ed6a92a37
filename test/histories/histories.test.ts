import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { boxStates, boxViewSchema } from '../../src/events/box-view.ts';
import { domainEventSchema } from '../../src/events/envelope.ts';
import { version } from '../../src/kernel/ids.ts';
import { eventHash } from '../../src/store/event-hash.ts';
import { finalOf, type History, historySchema, recordedEvent } from './history.ts';

/** Lives that were led under earlier versions. Whatever a statechart becomes, what it makes of them stays. */
const directory = new URL('./', import.meta.url);
const histories = readdirSync(directory)
  .filter((file) => file.endsWith('.json'))
  .map((file): readonly [string, History] => [
    file.slice(0, -'.json'.length),
    historySchema.parse(JSON.parse(readFileSync(new URL(file, directory), 'utf8'))),
  ]);

describe.each(histories)('%s', (_name, history) => {
  test(`${history.about}: folds to what it was`, () => {
    // What is recorded stays; a later version may add to it.
    expect(finalOf(history)).toMatchObject(history.final as object); // a view or a snapshot is an object
  });

  test('every hash is the one that it was', () => {
    let previous = '';
    for (const stored of history.events) {
      const event = {
        ...recordedEvent(history.streamId, stored),
        data: stored.data,
        version: version(stored.version),
      };
      expect(eventHash(previous, event)).toBe(stored.hash);
      previous = stored.hash;
    }
  });
});

test('there is a history of each state of a box, of each end of an exec and a copy, and of a host', () => {
  const reached = new Set<string>();
  for (const [, history] of histories)
    for (let length = 1; length <= history.events.length; length += 1) {
      const now = finalOf(history, length);
      const view = boxViewSchema.safeParse(now);
      const { value } = now as { value?: unknown }; // a snapshot's state
      reached.add(view.success ? view.data.state : `${history.streamId.split('/')[0]} ${value}`);
    }
  const ofExecs = ['requested', 'running', 'exited', 'failed', 'lost'].map((state) => `exec ${state}`);
  const others = ['copy completed', 'copy failed', 'host left', 'host ready'];
  expect([...reached].sort()).toEqual([...boxStates, ...ofExecs, ...others].sort());
});

test('every type of event is in one of them', () => {
  const types = new Set(histories.flatMap(([, { events }]) => events.map(({ type }) => type)));
  expect([...types].sort()).toEqual(domainEventSchema.options.map(({ shape }) => shape.type.value).sort());
});
