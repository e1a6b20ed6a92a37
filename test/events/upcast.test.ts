import { describe, expect, test } from 'vitest';
import { domainEventSchema } from '../../src/events/envelope.ts';
import { eventReader, parseEvent, schemaVersionOf } from '../../src/events/upcast.ts';
import { BrokenInvariant } from '../../src/kernel/assert.ts';
import type { JsonObject, JsonValue } from '../../src/kernel/json.ts';

describe('an event of the log', () => {
  test('comes back as it was written', () => {
    const event = { type: 'exec.started', data: { pid: 7 } } as const;
    expect(parseEvent(event.type, schemaVersionOf(event.type), event.data)).toEqual(event);
  });

  test.each([
    ['an unknown type', 'box.exploded', 1, {}],
    ['a name that every object has', 'constructor', 1, {}],
    ['a version that is yet to come', 'exec.started', 2, { pid: 7 }],
    ['a version that never was', 'exec.started', 0, { pid: 7 }],
    ['half a version', 'exec.started', 1.5, { pid: 7 }],
    ['data that do not fit', 'exec.started', 1, { pid: 'seven' }],
    ['a field too many', 'exec.started', 1, { pid: 7, more: true }],
    ['no data', 'exec.started', 1, null],
  ])('with %s stops the fold', (_, type, schemaVersion, data) => {
    expect(() => parseEvent(type, schemaVersion, data)).toThrow(BrokenInvariant);
  });

  test('is written at a version that is known for each type', () => {
    for (const { shape } of domainEventSchema.options)
      expect(schemaVersionOf(shape.type.value)).toBeGreaterThanOrEqual(1);
  });
});

describe('an event type whose schema has changed twice', () => {
  // Version 1 had {"process": "7"}, version 2 {"process": 7}; the third is the one of this program.
  const member = (data: JsonValue, key: string) => (data as JsonObject)[key] ?? null; // what the versions before had
  const reader = eventReader({
    'exec.started': [
      (data) => ({ process: Number(member(data, 'process')) }),
      (data) => ({ pid: member(data, 'process') }),
    ],
  });

  test.each([
    [1, { process: '7' }],
    [2, { process: 7 }],
    [3, { pid: 7 }],
  ])('is read in its newest form when it was written at version %i', (schemaVersion, data) => {
    expect(reader.parseEvent('exec.started', schemaVersion, data)).toEqual({
      type: 'exec.started',
      data: { pid: 7 },
    });
  });

  test('is written at the third version, and others at their first', () => {
    expect(reader.schemaVersionOf('exec.started')).toBe(3);
    expect(reader.schemaVersionOf('exec.failed')).toBe(1);
  });

  test('is not read at a version that is yet to come, nor in an old form that calls itself new', () => {
    expect(() => reader.parseEvent('exec.started', 4, { pid: 7 })).toThrow('known are 1 to 3');
    expect(() => reader.parseEvent('exec.started', 3, { process: 7 })).toThrow(BrokenInvariant);
  });

  test('is lifted from where it is: an upcaster is never applied to what is beyond it', () => {
    expect(() => reader.parseEvent('exec.started', 1, { pid: 7 })).toThrow(BrokenInvariant);
  });
});
