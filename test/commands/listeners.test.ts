import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { EventLog } from '../../src/commands/event-store.ts';
import type { Heard } from '../../src/commands/heard.ts';
import { Listeners, type ListenOptions } from '../../src/commands/listeners.ts';
import { LogFeed } from '../../src/commands/log-feed.ts';
import { LogTail } from '../../src/commands/log-tail.ts';
import { Door } from '../../src/commands/submit.ts';
import { boxOptionsSchema } from '../../src/events/box-options.ts';
import { execSpecSchema } from '../../src/events/exec-events.ts';
import { noCrash } from '../../src/kernel/crash-point.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { type BoxId, defaultTenant } from '../../src/kernel/ids.ts';
import { randomIds } from '../../src/main/random-ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { openStore } from '../../src/store/store.ts';
import { type HandMade, handMade } from '../api/hand-made-host.ts';
import { eventually } from '../support/eventually.ts';
import { meta } from '../support/plane.ts';
import { silentLog } from '../support/store.ts';

let plane: HandMade;
beforeAll(async () => {
  plane = await handMade();
});
afterAll(() => plane.close());

const open: Listeners[] = [];
afterEach(async () => {
  for (const listeners of open.splice(0)) await listeners.close();
});

interface Ears {
  readonly listeners: Listeners;
  /** What was told of the box, name by name. */
  readonly told: { readonly name: keyof Heard; readonly what: Heard[keyof Heard] }[];
  readonly errors: { readonly error: unknown; readonly name: string }[];
}

const names = [
  ...(['created', 'started', 'stopped', 'failed', 'execStarted', 'execCompleted', 'execFailed'] as const),
  ...(['fileCopiedIn', 'fileCopiedOut', 'hostJoined', 'hostLeft', 'caughtUp'] as const),
];

const listen = (from: ListenOptions['from'], log: EventLog = plane.store.log): Ears => {
  const told: Ears['told'] = [];
  const errors: Ears['errors'] = [];
  const tail = new LogTail(log, { pollIntervalMs: 100, keep: 100, onError: () => undefined });
  const listeners = new Listeners(new LogFeed(log, tail), log, {
    from,
    tenant: defaultTenant,
    onError: (error, name) => errors.push({ error, name }),
  });
  open.push(listeners);
  for (const name of names) listeners.on(name, (what) => told.push({ name, what }));
  return { listeners, told, errors };
};

const ofBox = ({ told }: Ears, boxId: BoxId) =>
  told.filter(({ what }) => 'boxId' in what && what.boxId === boxId).map(({ name }) => name);

const heard = async <Name extends keyof Heard>({ told }: Ears, name: Name): Promise<Heard[Name]> =>
  eventually(name, async () => {
    const found = told.find((telling) => telling.name === name);
    return found === undefined ? undefined : (found.what as Heard[Name]); // the two belong together
  });

const createBox = async (door = plane.deps.door): Promise<BoxId> => {
  const boxId = randomIds.boxId();
  await door.submit({ type: 'box.create', boxId, name: boxId, options: boxOptionsSchema.parse({}) }, meta);
  return boxId;
};

const requestExec = async (boxId: BoxId) => {
  const execId = randomIds.execId();
  const spec = execSpecSchema.parse({ command: 'ls' });
  const program = { kind: 'full' as const, command: 'ls', args: [] };
  const recorded = { program, env: { kind: 'none' as const } };
  await plane.deps.door.submit({ type: 'exec.request', execId, boxId, generation: 1, spec, recorded }, meta);
  await plane.deps.door.submit({ type: 'exec.reportStarted', execId, pid: 7 }, meta);
  return execId;
};

test('listeners hear what the log has, and then what happens', async () => {
  const before = await createBox();
  const ears = listen('beginning');
  ears.listeners.start();
  await heard(ears, 'caughtUp');
  await eventually('what was before is heard', () => ofBox(ears, before).length > 0);
  expect(ofBox(ears, before)).toEqual(['created']);

  const boxId = await createBox();
  const placement = await plane.deps.placement((await findBox(boxId)).box);
  await plane.deps.door.submit({ type: 'box.start', boxId, placement }, meta);
  await plane.fail(boxId, 'vm.boot', { code: 'Internal', message: 'no disk' });
  expect(await heard(ears, 'failed')).toMatchObject({
    boxId,
    operation: 'start',
    failure: { message: 'no disk' },
    actor: { kind: 'system', id: 'hand' },
  });
  expect(ofBox(ears, boxId)).toEqual(['created', 'failed']);
  expect(ears.errors).toEqual([]);
});

const findBox = async (boxId: BoxId) => {
  const found = await plane.store.boxes.find(defaultTenant, boxId);
  if (found.kind !== 'found') throw new Error(found.kind);
  return found;
};

test('an exec is told of with its box and its command, also by who hears only of its end', async () => {
  const boxId = await createBox();
  const execId = await requestExec(boxId);
  const ears = listen('now');
  ears.listeners.start();
  await heard(ears, 'caughtUp');
  const exit = { kind: 'code', code: 3 } as const;
  const bytes = { stdoutBytes: 0, stderrBytes: 0 };
  await plane.deps.door.submit(
    { type: 'exec.reportExited', execId, pid: 7, exit, timedOut: false, durationMs: 12, ...bytes },
    meta,
  );
  expect(await heard(ears, 'execCompleted')).toMatchObject({
    boxId,
    execId,
    command: 'ls',
    code: 3,
    durationMs: 12,
  });
  expect(ofBox(ears, boxId)).toEqual(['execCompleted']);
});

test('files that go in or out of a box, and those that do not, are told of with their box', async () => {
  const boxId = await createBox();
  const ears = listen('now');
  ears.listeners.start();
  await heard(ears, 'caughtUp');
  const totals = { entries: 2, bytes: 9, sha256: 'a'.repeat(64), durationMs: 4 };
  const place = { boxId, generation: 1, path: 'data' };
  for (const direction of ['in', 'out'] as const)
    await plane.deps.door.submit(
      { type: 'copy.reportCompleted', copyId: randomIds.copyId(), ...place, direction, ...totals },
      meta,
    );
  const failure = { code: 'NotFound', message: 'no such path' } as const;
  await plane.deps.door.submit(
    {
      type: 'copy.reportFailed',
      copyId: randomIds.copyId(),
      ...place,
      direction: 'out',
      failure,
      durationMs: 1,
    },
    meta,
  );
  expect(await heard(ears, 'failed')).toMatchObject({ boxId, operation: 'copy-out', failure });
  expect(await heard(ears, 'fileCopiedIn')).toMatchObject({ path: 'data', ...totals });
  expect(ofBox(ears, boxId)).toEqual(['fileCopiedIn', 'fileCopiedOut', 'failed']);
});

test('a listener that throws, and one whose promise is rejected, are reported and harm nobody', async () => {
  const ears = listen('now');
  const { listeners, errors } = ears;
  listeners.on('hostJoined', () => {
    throw new Error('thrown');
  });
  listeners.on('hostJoined', async () => {
    throw new Error('rejected');
  });
  const later: string[] = [];
  listeners.on('hostJoined', ({ hostname }) => later.push(hostname));
  listeners.once('hostJoined', () => later.push('once'));
  const off = listeners.on('hostJoined', () => later.push('never'));
  off();
  listeners.start();
  await heard(ears, 'caughtUp');
  for (const hostname of ['one', 'two']) {
    const capacity = { cpus: 1, memoryMib: 1 };
    await plane.deps.door.submit(
      { type: 'host.join', hostId: randomIds.hostId(), hostname, driver: 'sim', capacity },
      meta,
    );
  }
  await eventually('both joined', async () => later.includes('two'));
  expect(later).toEqual(['one', 'once', 'two']);
  await eventually('all are reported', async () => errors.length === 4);
  expect(errors.map(({ error, name }) => `${name}: ${(error as Error).message}`).sort()).toEqual(
    ['rejected', 'rejected', 'thrown', 'thrown'].map((message) => `hostJoined: ${message}`),
  );
});

test('who goes on from a cursor hears nothing twice and misses nothing', async () => {
  const first = await createBox();
  const before = listen('beginning');
  before.listeners.start();
  // Where somebody else writes to this Postgres, the end of the log may come after the first catching up.
  await eventually('the first is heard', () => ofBox(before, first).length > 0);
  const last = before.told.findLast(({ name }) => name === 'created');
  const second = await createBox();
  const after = listen(last?.what.cursor ?? 'none');
  after.listeners.start();
  await eventually('the second is heard', () => ofBox(after, second).length > 0);
  expect(ofBox(after, first)).toEqual([]);
  expect(ofBox(after, second)).toEqual(['created']);
});

test('what another process does is heard', async () => {
  const other = await openStore({ databaseUrl: plane.store.databaseUrl, log: silentLog });
  const ears = listen('now');
  ears.listeners.start();
  await heard(ears, 'caughtUp');
  const door = new Door({
    store: other.events,
    log: other.log,
    clock: systemClock,
    ids: randomIds,
    onEffects: () => undefined,
    crash: noCrash,
    keepStates: 1,
  });
  const boxId = await createBox(door);
  await eventually('it is heard', async () => ofBox(ears, boxId).length === 1);
  await other.close();
});

test('a log that is away is read again; a cursor that is none is said once', async () => {
  const { log } = plane.store;
  let away = 2;
  const flaky: EventLog = {
    isAfter: (...args) => log.isAfter(...args),
    readStream: (...args) => log.readStream(...args),
    end: () => log.end(),
    onAppend: (wake) => log.onAppend(wake),
    readAll: (...args) => {
      away -= 1;
      return away >= 0 ? Promise.reject(new BoxledgerError('Unavailable', 'away')) : log.readAll(...args);
    },
  };
  const patient = listen('beginning', flaky);
  patient.listeners.start();
  await heard(patient, 'caughtUp');
  expect(patient.errors[0]).toMatchObject({ name: 'log', error: { code: 'Unavailable' } });

  const lost = listen('no cursor');
  lost.listeners.start();
  await eventually('it is said', async () => lost.errors.length > 0);
  await lost.listeners.close();
  expect(lost.errors).toMatchObject([{ name: 'log', error: { code: 'InvalidArgument' } }]);
});
