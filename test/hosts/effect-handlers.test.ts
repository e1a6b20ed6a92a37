import { expect, test } from 'vitest';
import { gate } from '../support/gate.ts';
import { code, internal, oneBox } from '../support/one-box.ts';
import { never, unavailable } from '../support/scripted-guest.ts';

test('a box is up when its guest has answered, and the stages say how long each took', async () => {
  let pings = 0;
  const it = oneBox({
    ping: async () => {
      pings += 1;
      if (pings < 3) throw unavailable();
      return { agentVersion: '0', pid: 1, hostname: 'box' };
    },
  });
  const { stagesMs, tookOver } = await it.boot();
  expect(tookOver).toBe(false);
  expect(Object.keys(stagesMs).sort()).toEqual(['disk', 'guest', 'queued', 'spawn']);
  expect(stagesMs['queued']).toBe(7);
  expect(pings).toBe(3);
});

test('a boot that finds its box up takes it over', async () => {
  const it = oneBox();
  const first = await it.boot();
  const second = await it.boot();
  expect(second).toMatchObject({ tookOver: true, process: first.process });
});

test('a box that dies before its guest answers fails the boot at once, with its last output', async () => {
  const asked = gate();
  const it = oneBox({
    ping: async () => {
      asked.open();
      throw unavailable();
    },
  });
  Object.assign(it.driver, { consoleTail: async () => 'panic: no init' });
  const booting = it.boot();
  await asked.passed;
  it.exit(code(127));
  await expect(booting).rejects.toMatchObject({
    code: 'Internal',
    details: { console: 'panic: no init', exit: code(127) },
  });
});

test('a guest that does not answer in time fails the boot, and only the disk is left', async () => {
  const it = oneBox({ ping: never });
  await expect(it.boot()).rejects.toMatchObject({ code: 'DeadlineExceeded', details: { console: '' } });
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
  expect(await it.driver.list()).toEqual([it.boxId]);
});

test('a boot that is broken off undoes what it began', async () => {
  const asked = gate();
  const abort = new AbortController();
  const it = oneBox({
    ping: (signal) => {
      asked.open();
      return never(signal);
    },
  });
  const booting = it.boot(abort.signal);
  await asked.passed;
  const reason = new Error('overtaken');
  abort.abort(reason);
  await expect(booting).rejects.toBe(reason);
  expect((await it.driver.observe(it.boxId)).kind).toBe('ended');
});

test('a pause freezes the file systems, then the processes', async () => {
  const it = oneBox();
  const { process } = await it.boot();
  expect(await it.pause({ process })).toEqual({ consistency: 'file-system' });
  expect(await it.driver.observe(it.boxId)).toMatchObject({ kind: 'running', frozen: true });
});

test.each([
  ['refuses', async () => ({ frozen: false, detail: 'no file system here can be frozen' }), 'Unsupported'],
  ['is gone', () => Promise.reject(unavailable()), 'Unavailable'],
  ['hangs', never, 'DeadlineExceeded'],
] as const)('a pause whose guest %s is crash consistent and says why', async (_how, quiesce, failure) => {
  const it = oneBox({ quiesce });
  const { process } = await it.boot();
  expect(await it.pause({ process })).toMatchObject({
    consistency: 'crash',
    freezeFailure: { code: failure },
  });
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: true });
});

test('a pause whose freeze fails thaws the file systems again', async () => {
  const it = oneBox({}, { freeze: internal('no freezer') });
  const { process } = await it.boot();
  await expect(it.pause({ process })).rejects.toThrow('no freezer');
  expect(it.guest.asked).toEqual(['ping', 'quiesce', 'thaw']);
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: false });
});

test('a pause that is broken off between its steps leaves nothing frozen', async () => {
  const abort = new AbortController();
  const it = oneBox({
    quiesce: async () => {
      abort.abort(new Error('overtaken'));
      return { frozen: true, detail: '' };
    },
  });
  const { process } = await it.boot();
  await expect(it.pause({ process }, abort.signal)).rejects.toThrow('overtaken');
  expect(it.guest.asked).toEqual(['ping', 'quiesce', 'thaw']);
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: false });
});

test('a resume unfreezes and thaws; a thaw that fails is reported and does not undo the resume', async () => {
  const it = oneBox({ thaw: never });
  const { process } = await it.boot();
  await it.pause({ process });
  expect(await it.resume({ process })).toMatchObject({ thawFailure: { code: 'DeadlineExceeded' } });
  expect(await it.driver.observe(it.boxId)).toMatchObject({ frozen: false });
  expect(await oneBox().remove()).toEqual({});
});

test('removal ends what still runs before it takes the disk', async () => {
  const it = oneBox();
  await it.boot();
  expect(await it.remove()).toEqual({});
  expect(await it.driver.list()).toEqual([]);
  expect(it.done.slice(-2)).toEqual(['kill', 'removeDisk']);
});

test('a driver without a guest is neither pinged, nor quiesced, nor asked', async () => {
  const it = oneBox();
  Object.assign(it.driver, { guestAddress: () => null });
  const { process, stagesMs } = await it.boot();
  expect(stagesMs).not.toHaveProperty('guest');
  expect(await it.pause({ process })).toEqual({ consistency: 'crash' });
  expect(await it.resume({ process })).toEqual({});
  expect(await it.shutdown({ process, frozen: false })).toMatchObject({ manner: 'terminated', failures: [] });
  expect(it.guest.asked).toEqual([]);
});
