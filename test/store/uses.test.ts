import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Command } from '../../src/events/commands.ts';
import {
  type BoxId,
  copyStream,
  execStream,
  type HostId,
  noVersion,
  type StreamId,
} from '../../src/kernel/ids.ts';
import { folding } from '../../src/main/folds.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { requestExec } from '../support/exec-commands.ts';
import { createPlane, meta, type Plane } from '../support/plane.ts';

let plane: Plane;
const hostId = randomIds.hostId();
beforeAll(async () => {
  plane = await createPlane();
  await plane.runner(hostId, {}).start();
});
afterAll(() => plane.close());

const submit = async (command: Command) => {
  const answer = await plane.door.submit(command, meta);
  if (answer.kind === 'refused') throw new Error(JSON.stringify(answer.refusal));
};
const runningBox = async (host: HostId, idleTimeoutMs?: number): Promise<BoxId> => {
  const boxId = await plane.startingBox(hostId, 1, idleTimeoutMs === undefined ? {} : { idleTimeoutMs });
  await plane.until(boxId, 'running');
  if (host !== hostId)
    await plane.store.pool.query('UPDATE boxledger.boxes SET host_id = $2 WHERE box_id = $1', [boxId, host]);
  return boxId;
};
const exec = async (boxId: BoxId, ...end: readonly ('exited' | 'failed' | 'lost')[]): Promise<StreamId> => {
  const execId = await requestExec(plane.door, boxId);
  const failure = { code: 'Unavailable', message: 'gone' } as const;
  const done = { exit: { kind: 'code', code: 4 } as const, timedOut: false, durationMs: 1 };
  for (const how of end)
    if (how === 'exited')
      await submit({ type: 'exec.reportExited', execId, pid: 7, ...done, stdoutBytes: 0, stderrBytes: 0 });
    else await submit({ type: how === 'lost' ? 'exec.reportLost' : 'exec.reportFailed', execId, failure });
  return execStream(execId);
};
const copy = async (boxId: BoxId): Promise<StreamId> => {
  const copyId = randomIds.copyId();
  const failure = { code: 'NotFound', message: 'no such file' } as const;
  const where = { boxId, generation: 1, direction: 'in', path: '/x' } as const;
  await submit({ type: 'copy.reportFailed', copyId, ...where, failure, durationMs: 1 });
  return copyStream(copyId);
};
const lastOf = async (stream: StreamId) =>
  (await plane.store.log.readStream(stream, noVersion, 10)).at(-1)?.occurredAt;
const derived = async () => {
  const all = (table: string) =>
    plane.store.pool.query(`SELECT * FROM boxledger.${table} ORDER BY stream_id`);
  return { execs: (await all('execs')).rows, copies: (await all('copies')).rows };
};

test('execs are counted by box; one that ended with another code than 0 is no error', async () => {
  const [boxId, other] = [await runningBox(hostId), await runningBox(hostId)];
  await exec(boxId, 'exited');
  await exec(boxId, 'failed');
  await exec(boxId, 'lost');
  await exec(boxId);
  expect(await plane.store.execs.count(boxId)).toEqual({ execs: 4, errors: 2 });
  expect(await plane.store.execs.count(other)).toEqual({ execs: 0, errors: 0 });
});

test('the last use of a box is the end of its last exec or copy, whichever came later', async () => {
  const host = randomIds.hostId();
  const [never, byExec, byCopy, unlimited, elsewhere] = await Promise.all([
    runningBox(host, 1_000_000),
    runningBox(host, 1_000_000),
    runningBox(host, 1_000_000),
    runningBox(host),
    runningBox(randomIds.hostId(), 1_000_000),
  ]);
  await copy(byExec);
  const lastExec = await exec(byExec, 'exited');
  await exec(byExec);
  await exec(byCopy, 'failed');
  const lastCopy = await copy(byCopy);
  for (const boxId of [unlimited, elsewhere]) await copy(boxId);

  const uses = await plane.store.execs.lastUses(host, '', 10);
  expect(new Map(uses.map(({ boxId, lastUsedAt }) => [boxId, lastUsedAt]))).toEqual(
    new Map([
      [never, null],
      [byExec, await lastOf(lastExec)],
      [byCopy, await lastOf(lastCopy)],
    ]),
  );
  const [first] = uses;
  expect(await plane.store.execs.lastUses(host, '', 1)).toEqual([first]);
  expect(await plane.store.execs.lastUses(host, first?.boxId ?? '', 10)).toEqual(uses.slice(1));
});

test('what is known of uses is made again by a rebuild, and by the migration that brought it', async () => {
  const boxId = await runningBox(hostId, 1_000_000);
  await exec(boxId, 'exited');
  await exec(boxId, 'lost');
  await exec(boxId);
  await copy(boxId);
  const before = await derived();
  expect(before.copies).not.toEqual([]);

  await plane.store.pool.query('UPDATE boxledger.execs SET ended_at = NULL, is_error = NOT is_error');
  await plane.store.pool.query("UPDATE boxledger.copies SET ended_at = 'epoch'");
  await plane.store.rebuild(folding);
  expect(await derived()).toEqual(before);

  await plane.store.pool.query(`
    ALTER TABLE boxledger.execs DROP COLUMN ended_at, DROP COLUMN is_error;
    DROP TABLE boxledger.copies;
    DROP FUNCTION boxledger.follow_copy CASCADE;
    DELETE FROM boxledger.migrations WHERE number = 14;`);
  expect(await plane.store.migrate()).toEqual(['0014-uses']);
  expect(await derived()).toEqual(before);
  await copy(boxId);
  expect((await derived()).copies).toHaveLength(before.copies.length + 1);
});
