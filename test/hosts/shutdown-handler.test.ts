import { expect, test } from 'vitest';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import { code, internal, oneBox } from '../support/one-box.ts';
import { never, unavailable } from '../support/scripted-guest.ts';

test('a guest that shuts down by itself makes a graceful stop with its own exit code', async () => {
  const it = oneBox({ shutdown: async () => it.exit(code(5)) });
  const { process } = await it.boot();
  expect(await it.shutdown({ process, frozen: false })).toEqual({
    exit: code(5),
    manner: 'graceful',
    failures: [],
  });
  expect(it.done.at(-1)).toBe('kill');
});

test('a guest whose answer was lost because it had ended already stopped gracefully all the same', async () => {
  const it = oneBox({
    shutdown: async () => {
      it.exit(code(0));
      throw unavailable();
    },
  });
  const { process } = await it.boot();
  expect(await it.shutdown({ process, frozen: false })).toMatchObject({ exit: code(0), manner: 'graceful' });
});

test('a guest that agrees and does not end is terminated', async () => {
  const it = oneBox();
  const { process } = await it.boot();
  expect(await it.shutdown({ process, frozen: false })).toMatchObject({
    exit: { kind: 'signal', signal: 'SIGTERM' },
    manner: 'terminated',
    failures: [{ code: 'DeadlineExceeded' }],
  });
});

test('no failing step of a stop skips the next, and each failure is recorded', async () => {
  const it = oneBox(
    { shutdown: () => Promise.reject(unavailable()), thaw: () => Promise.reject(unavailable()) },
    { unfreeze: internal('no freezer'), terminate: internal('no signal') },
  );
  const { process } = await it.boot();
  const { exit, manner, failures } = await it.shutdown({ process, frozen: true });
  expect({ exit, manner }).toEqual({ exit: { kind: 'signal', signal: 'SIGKILL' }, manner: 'killed' });
  expect(failures.map(({ message }) => message)).toEqual([
    'unfreeze: no freezer',
    'thaw: the guest does not answer',
    'graceful: the guest does not answer',
    'terminated: no signal',
  ]);
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
});

test('a stop whose last step fails is not done', async () => {
  const it = oneBox({}, { terminate: internal('no signal'), kill: internal('cannot be killed') });
  delete it.faults.kill;
  const { process } = await it.boot();
  it.faults.kill = internal('cannot be killed');
  await expect(it.shutdown({ process, frozen: false })).rejects.toThrow('cannot be killed');
});

test('a paused box is unfrozen and thawed before it is asked to stop', async () => {
  const it = oneBox({ shutdown: async () => it.exit() });
  const { process } = await it.boot();
  await it.pause({ process });
  expect(await it.shutdown({ process, frozen: true })).toEqual({
    exit: code(0),
    manner: 'graceful',
    failures: [],
  });
  expect(it.guest.asked.slice(-3)).toEqual(['thaw', 'shutdown', 'close']);
});

test('a box that has ended is already dead, with the exit that its host knows, and is cleared away', async () => {
  const it = oneBox();
  const { process } = await it.boot();
  it.exit(code(9));
  expect(await it.shutdown({ process, frozen: false })).toEqual({
    exit: code(9),
    manner: 'already-dead',
    failures: [],
  });
  expect(it.done.at(-1)).toBe('kill');
});

test('a stop of a box whose boot never came about is already dead, of an unknown exit', async () => {
  const it = oneBox();
  expect(await it.shutdown()).toEqual({ exit: { kind: 'unknown' }, manner: 'already-dead', failures: [] });
});

test('a stop finds the process that a cancelled boot left and the log does not know', async () => {
  const it = oneBox({ shutdown: async () => it.exit() });
  await it.boot();
  expect(await it.shutdown({ process: null, frozen: false })).toMatchObject({ manner: 'graceful' });
});

test('a stop whose time is up goes straight to the end of the ladder', async () => {
  const it = oneBox({ shutdown: never });
  const { process } = await it.boot();
  const late = AbortSignal.abort(new BoxledgerError('DeadlineExceeded', 'too late'));
  expect(await it.shutdown({ process, frozen: false }, late)).toMatchObject({ manner: 'terminated' });
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
});

test('a stop that is broken off leaves the rest to whoever comes next', async () => {
  const it = oneBox({ shutdown: never });
  const { process } = await it.boot();
  const reason = new BoxledgerError('Unavailable', 'closing');
  await expect(it.shutdown({ process, frozen: false }, AbortSignal.abort(reason))).rejects.toBe(reason);
  expect((await it.driver.observe(it.boxId)).kind).toBe('running');
});
