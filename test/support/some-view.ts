import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxView } from '../../src/events/box-view.ts';
import { defaultTenant } from '../../src/kernel/ids.ts';
import { timestamp } from '../../src/kernel/time.ts';
import { randomIds } from '../../src/main/random-ids.ts';

/** A box that has been created, but for the change. */
export const someView = (change: Partial<BoxView> = {}): BoxView => ({
  boxId: randomIds.boxId(),
  tenant: defaultTenant,
  name: 'some',
  state: 'configured',
  health: 'none',
  operation: null,
  bracket: null,
  options: boxOptionsSchema.parse({}),
  generation: 0,
  placement: null,
  process: null,
  effect: null,
  hasDisk: false,
  origin: null,
  snapshots: [],
  standsOn: null,
  pause: null,
  restarts: 0,
  exit: null,
  failure: null,
  createdAt: timestamp('2026-11-25T12:00:00.000Z'),
  startedAt: null,
  resumedAt: null,
  stoppedAt: null,
  ...change,
});
