import { describe, expect, test } from 'vitest';
import { domainEventSchema } from '../../src/events/envelope.ts';
import { parseEvent, schemaVersionOf } from '../../src/events/upcast.ts';
import { BrokenInvariant } from '../../src/kernel/assert.ts';

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
