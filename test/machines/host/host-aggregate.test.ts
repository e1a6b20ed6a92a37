import { expect, test } from 'vitest';
import type { HostCommand } from '../../../src/events/commands.ts';
import type { HostEvent } from '../../../src/events/host-events.ts';
import { BrokenInvariant } from '../../../src/kernel/assert.ts';
import { defaultTenant, hostId, tenantId, version } from '../../../src/kernel/ids.ts';
import { timestamp } from '../../../src/kernel/time.ts';
import { hostAggregate } from '../../../src/machines/host/host-aggregate.ts';
import type { HostState } from '../../../src/machines/host/host-machine.ts';
import { recordedFor } from '../recorded.ts';

const theHost = hostId('hs_0123456789abcdef');
const about = { hostname: 'node-1', driver: 'process', capacity: { cpus: 2, memoryMib: 4096 } } as const;
const join: HostCommand = { type: 'host.join', hostId: theHost, ...about };
const leave = (epoch: number): HostCommand => ({ type: 'host.leave', hostId: theHost, epoch });
const joined = (epoch: number): HostEvent => ({ type: 'host.joined', data: { epoch, ...about } });
const left = (epoch: number): HostEvent => ({ type: 'host.left', data: { epoch } });

const fold = (events: readonly HostEvent[]) =>
  events.reduce<HostState | undefined>(
    (state, event, index) => hostAggregate.evolve(state, recordedFor(`host/${theHost}`, event, index + 1)),
    undefined,
  );
const decide = (events: readonly HostEvent[], command: HostCommand, tenant = defaultTenant) =>
  hostAggregate.decide(fold(events), command, {
    now: timestamp('2026-11-25T12:00:00.000Z'),
    version: version(events.length),
    tenant,
  });

test.each([
  ['for the first time', [], 1],
  ['after it left', [joined(1), left(1)], 2],
  ['while it is ready, since its last epoch died without a word', [joined(1)], 2],
  ['for the fourth time', [joined(1), joined(2), left(2), joined(3)], 4],
] as const)('a host joins %s: each join is a new epoch', (_, history, epoch) => {
  expect(decide(history, join)).toMatchObject({ kind: 'accepted', events: [joined(epoch)], effects: [] });
});

test('a host leaves in its present epoch', () => {
  const answer = decide([joined(1), joined(2)], leave(2));
  expect(answer).toMatchObject({ kind: 'accepted', events: [left(2)] });
  expect(answer.kind === 'accepted' && answer.state.value).toBe('left');
});

test('a leave that is repeated is already so', () => {
  expect(decide([joined(1), left(1)], leave(1))).toEqual({ kind: 'already-so' });
});

test('a leave of an earlier epoch is not heard', () => {
  expect(decide([joined(1), joined(2)], leave(1))).toMatchObject({
    kind: 'refused',
    refusal: { code: 'Conflict', details: { stale: true, epoch: 2, told: 1 } },
  });
});

test('a host that never joined cannot leave, and one of another tenant is not found', () => {
  const notFound = { kind: 'refused', refusal: { code: 'NotFound' } };
  expect(decide([], leave(1))).toMatchObject(notFound);
  expect(decide([joined(1)], leave(1), tenantId('other'))).toMatchObject(notFound);
  expect(decide([joined(1)], join, tenantId('other'))).toMatchObject(notFound);
});

test('a history with an epoch left out or left twice is refused by the fold', () => {
  expect(() => fold([joined(2)])).toThrow(BrokenInvariant);
  expect(() => fold([joined(1), left(1), left(1)])).toThrow(BrokenInvariant);
  expect(() => fold([left(1)])).toThrow(BrokenInvariant);
});

test.each([
  ['ready', [joined(1)]],
  ['left', [joined(1), left(1)]],
] as const)('a host that is %s survives being persisted', (name, history) => {
  const state = fold(history);
  const persisted = state && hostAggregate.persist(state);
  const restored = hostAggregate.restore(JSON.parse(JSON.stringify(persisted)));
  expect(restored.value).toBe(name);
  expect(hostAggregate.persist(restored)).toEqual(persisted);
  expect(hostAggregate.view(restored)).toBeNull();
});
