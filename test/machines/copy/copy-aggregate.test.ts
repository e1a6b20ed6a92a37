import { describe, expect, test } from 'vitest';
import type { CopyCommand } from '../../../src/events/commands.ts';
import type { CopyEvent } from '../../../src/events/copy-events.ts';
import { BrokenInvariant } from '../../../src/kernel/assert.ts';
import { boxId, copyId, defaultTenant, tenantId, version } from '../../../src/kernel/ids.ts';
import { timestamp } from '../../../src/kernel/time.ts';
import { copyAggregate } from '../../../src/machines/copy/copy-aggregate.ts';
import type { CopyState } from '../../../src/machines/copy/copy-machine.ts';
import { recordedFor } from '../recorded.ts';

const theCopy = copyId('cp_0123456789abcdef');
const where = {
  boxId: boxId('bx_0123456789abcdef'),
  generation: 2,
  direction: 'in',
  path: '/srv',
} as const;
const totals = { entries: 3, bytes: 12, sha256: 'a'.repeat(64), durationMs: 5 };
const failure = { code: 'NotFound', message: 'no such directory' } as const;

const reportCompleted: CopyCommand = {
  type: 'copy.reportCompleted',
  copyId: theCopy,
  ...where,
  ...totals,
};
const reportFailed: CopyCommand = {
  type: 'copy.reportFailed',
  copyId: theCopy,
  ...where,
  failure,
  durationMs: 5,
};
const completed: CopyEvent = { type: 'copy.completed', data: { ...where, ...totals } };
const failed: CopyEvent = { type: 'copy.failed', data: { ...where, failure, durationMs: 5 } };

const fold = (events: readonly CopyEvent[]) =>
  events.reduce<CopyState | undefined>(
    (state, event, index) => copyAggregate.evolve(state, recordedFor(`copy/${theCopy}`, event, index + 1)),
    undefined,
  );
const decide = (events: readonly CopyEvent[], command: CopyCommand, tenant = defaultTenant) =>
  copyAggregate.decide(fold(events), command, {
    now: timestamp('2026-11-25T12:00:00.000Z'),
    version: version(events.length),
    tenant,
  });

describe('a copy', () => {
  test('has one event: how it ended, with all that was told', () => {
    expect(decide([], reportCompleted)).toMatchObject({ kind: 'accepted', events: [completed], effects: [] });
    expect(decide([], reportFailed)).toMatchObject({ kind: 'accepted', events: [failed], effects: [] });
  });

  test('that is told of again is already so, and cannot have ended otherwise', () => {
    expect(decide([completed], reportCompleted)).toEqual({ kind: 'already-so' });
    expect(decide([failed], reportFailed)).toEqual({ kind: 'already-so' });
    const refused = { kind: 'refused', refusal: { code: 'InvalidState' } };
    expect(decide([completed], reportFailed)).toMatchObject(refused);
    expect(decide([failed], reportCompleted)).toMatchObject(refused);
    expect(decide([completed], reportCompleted, tenantId('other'))).toMatchObject(refused);
  });

  test('cannot be folded from two ends', () => {
    expect(() => fold([completed, failed])).toThrow(BrokenInvariant);
  });

  test('is the same after it was kept and restored', () => {
    for (const end of [completed, failed]) {
      const state = fold([end]);
      if (state === undefined) throw new Error('no state');
      const restored = copyAggregate.restore(JSON.parse(JSON.stringify(copyAggregate.persist(state))));
      expect(copyAggregate.persist(restored)).toEqual(copyAggregate.persist(state));
      expect(copyAggregate.view(restored)).toBeNull();
    }
  });
});
