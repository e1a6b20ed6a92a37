import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CommandDoor } from '../../src/commands/door.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import type { BoxCommand } from '../../src/events/commands.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { commandId } from '../../src/kernel/ids.ts';
import { meteredDoor } from '../../src/main/metered-door.ts';
import { answerObserver, copyTally } from '../../src/main/metrics-observers.ts';
import { openRegistry } from '../../src/main/metrics-registry.ts';
import { ServiceTally } from '../../src/main/metrics-tally.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { requestExec } from '../support/exec-commands.ts';
import { createPlane, flakyDoor, meta, type Plane, someProcess } from '../support/plane.ts';

let plane: Plane;
beforeAll(async () => {
  plane = await createPlane();
  plane.dispatching = false;
});
afterAll(() => plane.close());

const counted = (behind: CommandDoor = plane.door) => {
  const tally = new ServiceTally(systemClock.now());
  const metrics = openRegistry();
  const observe = answerObserver(metrics);
  const door = meteredDoor(behind, (command, answer, durationMs) => {
    if (answer !== undefined) tally.answered(command, answer);
    observe(command, answer, durationMs);
  });
  const shown = async (name: string) => {
    copyTally(metrics, tally);
    const text = await metrics.registry.getSingleMetricAsString(name);
    return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  };
  return { tally, door, shown };
};

const placement = { hostId: randomIds.hostId(), epoch: 1 };

test('a box is counted as it is created, fails to start and stops, and a repeated command once', async () => {
  const { tally, door, shown } = counted();
  const boxId = randomIds.boxId();
  const create = { type: 'box.create', boxId, name: boxId, options: boxOptionsSchema.parse({}) } as const;
  const again = { ...meta, commandId: commandId(boxId) };
  await door.submit(create, again);
  await door.submit(create, again);
  const settle = async (outcome: Extract<BoxCommand, { type: 'box.settleEffect' }>['outcome']) => {
    const { effect, generation } = await plane.view(boxId);
    if (effect === null) throw new Error('the box waits for nothing');
    const { effectId } = effect;
    const command = { type: 'box.settleEffect', boxId, effectId, generation, outcome } as const;
    await door.submit(command, meta);
    return () => door.submit(command, meta);
  };
  await door.submit({ type: 'box.start', boxId, placement }, meta);
  const failure = { code: 'Internal', message: 'no' } as const;
  const late = await settle({ kind: 'vm.boot', outcome: { status: 'failed', failure } });
  await late();
  await door.submit({ type: 'box.start', boxId, placement }, meta);
  const stagesMs = { queued: 5, spawn: 20, thaw: 1 };
  await settle({
    kind: 'vm.boot',
    outcome: { status: 'succeeded', result: { process: someProcess, stagesMs, tookOver: false } },
  });
  await door.submit(
    { type: 'box.reportExit', boxId, generation: 2, exit: { kind: 'code', code: 0 }, placement },
    meta,
  );

  expect(tally).toMatchObject({ boxesCreated: 1, startsFailed: 1, boxesStopped: 1 });
  expect(tally.effects).toEqual([
    { kind: 'vm.boot', end: 'failed', count: 1 },
    { kind: 'vm.boot', end: 'unheard', count: 1 },
    { kind: 'vm.boot', end: 'succeeded', count: 1 },
  ]);
  expect(await shown('boxledger_events_total')).toContain('boxledger_events_total{type="box.created"} 1');
  expect(await shown('boxledger_commands_total')).toContain(
    'boxledger_commands_total{command="box.settleEffect",answer="refused"} 1',
  );
  expect(await shown('boxledger_effects_total')).toContain(
    'boxledger_effects_total{kind="vm.boot",outcome="unheard"} 1',
  );
  // A stage that only a driver knows does not become a label of its own.
  expect(await shown('boxledger_box_start_stage_duration_seconds')).toEqual(
    expect.arrayContaining([
      'boxledger_box_start_stage_duration_seconds_sum{stage="spawn"} 0.02',
      'boxledger_box_start_stage_duration_seconds_count{stage="other"} 1',
    ]),
  );
});

test('execs are counted; one that ends with another code than 0 is no error', async () => {
  const { tally, door, shown } = counted();
  const [boxId, other] = [randomIds.boxId(), randomIds.boxId()];
  const request = (box = boxId) => requestExec(door, box);
  const failure = { code: 'NotFound', message: 'no such program' } as const;
  await door.submit({ type: 'exec.reportFailed', execId: await request(), failure }, meta);
  const execId = await request();
  await door.submit({ type: 'exec.reportStarted', execId, pid: 3 }, meta);
  const exit = { kind: 'code', code: 1 } as const;
  const end = { pid: 3, exit, timedOut: false, durationMs: 1_500, stdoutBytes: 0, stderrBytes: 0 };
  await door.submit({ type: 'exec.reportExited', execId, ...end }, meta);
  await door.submit({ type: 'exec.reportExited', execId, ...end }, meta);
  await request(other);

  expect(tally.execs).toEqual({ execs: 3, errors: 1 });
  expect(await shown('boxledger_execs_ended_total')).toEqual([
    'boxledger_execs_ended_total{outcome="not-started"} 1',
    'boxledger_execs_ended_total{outcome="failed"} 1',
  ]);
  expect(await shown('boxledger_exec_duration_seconds')).toContain('boxledger_exec_duration_seconds_sum 1.5');
});

test('a command that nobody knows the end of is counted as failed, and what it may have done is not', async () => {
  const away = new BoxledgerError('Unavailable', 'the connection is lost');
  const { tally, door, shown } = counted(flakyDoor(plane.door, 1, 'after', away));
  const boxId = randomIds.boxId();
  const create = { type: 'box.create', boxId, name: boxId, options: boxOptionsSchema.parse({}) } as const;
  await expect(door.submit(create, meta)).rejects.toBe(away);
  expect(tally.boxesCreated).toBe(0);
  expect(await shown('boxledger_commands_total')).toEqual([
    'boxledger_commands_total{command="box.create",answer="failed"} 1',
  ]);
});
