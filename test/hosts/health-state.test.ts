import { expect, test } from 'vitest';
import { type BoxOptions, boxOptionsSchema } from '../../src/events/box-options.ts';
import { type HealthState, healthAfter } from '../../src/hosts/health-state.ts';
import type { Finding } from '../../src/hosts/probe.ts';

const check = boxOptionsSchema.parse({ healthCheck: { retries: 3, startPeriodMs: 1_000 } })
  .healthCheck as NonNullable<BoxOptions['healthCheck']>; // it has just been given
const well: Finding = { kind: 'well' };
const held: Finding = { kind: 'held' };
const ill: Finding = { kind: 'ill', failure: { code: 'Unavailable', message: 'silent' } };
const starting: HealthState = { health: 'starting', failures: 0 };
const after = (state: HealthState, findings: readonly Finding[], upMs: number) =>
  findings.reduce((now, finding) => healthAfter(now, finding, check, upMs), state);

test('failures in the start period do not count, and a success makes a box healthy at once', () => {
  expect(after(starting, [ill, ill, ill, ill], 999)).toEqual(starting);
  expect(after(starting, [ill, well], 10).health).toBe('healthy');
});

test('a success ends the start period: failures after it count', () => {
  expect(after(starting, [well, ill, ill, ill], 10).health).toBe('unhealthy');
});

test('after the start period a box that never was healthy becomes unhealthy', () => {
  expect(after(starting, [ill, ill], 1_000).health).toBe('starting');
  expect(after(starting, [ill, ill, ill], 1_000).health).toBe('unhealthy');
});

test('only failures in a row count, and one success makes a box healthy again', () => {
  const healthy: HealthState = { health: 'healthy', failures: 0 };
  expect(after(healthy, [ill, ill, well, ill, ill], 5_000)).toEqual({ health: 'healthy', failures: 2 });
  expect(after(healthy, [ill, ill, ill, ill, well], 5_000)).toEqual(healthy);
});

test('a probe of a box that was held says nothing', () => {
  expect(after({ health: 'healthy', failures: 2 }, [held, held, held], 5_000).failures).toBe(2);
});
