import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import type { Exit, ProcessIdentity } from '../../src/events/process.ts';
import { BoxledgerError } from '../../src/kernel/errors.ts';
import type { BoxId } from '../../src/kernel/ids.ts';
import { forge } from '../drivers/support/forged-archive.ts';
import { never, newBoxId, specOf } from '../drivers/support/spec.ts';
import { untilValue } from '../support/eventually.ts';

/** What of a box is not alike for all drivers. */
export interface BoxTraits {
  /** How a box ends that ends by itself with that code, or that was asked to. */
  exitOf(code: number): Exit;
  readonly terminated: Exit;
  /** What a disk with so many bytes in files comes to; a matcher, where more than those is on it. */
  sizeOf(bytes: number): unknown;
  /** Bytes in the archive of such a disk, at most. */
  archiveBytesOf(bytes: number): number;
  /** Of boxes' disks: a digest as a matcher, or null. */
  readonly image: unknown;
  /** Of a disk with a file `file` that holds `hello`. */
  archive(): Promise<Buffer>;
}

/** Of boxes that are processes, and whose disks are their files. */
export const processTraits: BoxTraits = {
  exitOf: (code) => ({ kind: 'code', code }),
  terminated: { kind: 'signal', signal: 'SIGTERM' },
  sizeOf: (bytes) => bytes,
  archiveBytesOf: (bytes) => bytes,
  image: null,
  archive: forge,
};

/** A driver, and the hands that a test needs on its world. */
export interface DriverHarness {
  readonly driver: Driver;
  readonly traits: BoxTraits;
  /** Another instance on the same host and directory, as after a restart of the service. */
  another(): Promise<Driver>;
  /** Lets the box's program exit with that code by itself. */
  exitByItself(box: BoxId, code: number): Promise<void>;
  /** Puts a file on the disk of a box, running or not, and reads it; undefined for none. */
  writeDisk(box: BoxId, name: string, text: string): Promise<void>;
  readDisk(box: BoxId, name: string): Promise<string | undefined>;
  /** What the host still has of the box but its disk: processes, mounts, cgroups, sockets. */
  leavings(box: BoxId): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** What every driver promises, whatever it drives. */
export const driverContract = (name: string, open: () => Promise<DriverHarness>): void => {
  describe(`${name} keeps the driver contract`, () => {
    let harness: DriverHarness;
    let driver: Driver;
    beforeAll(async () => {
      harness = await open();
      driver = harness.driver;
    });
    afterAll(() => harness?.close());

    const bootNew = async (): Promise<{ readonly id: BoxId; readonly process: ProcessIdentity }> => {
      const id = newBoxId();
      return { id, process: (await driver.boot(specOf(id), never)).process };
    };
    const failureOf = async (work: Promise<unknown>): Promise<BoxledgerError> => {
      const failure = await work.then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure instanceof BoxledgerError) return failure;
      throw new Error('it did not fail as it should', { cause: failure });
    };

    test('a box that was booted runs until it is killed, and what it was is remembered', async () => {
      const { id, process } = await bootNew();
      expect(await driver.observe(id)).toEqual({ kind: 'running', generation: 1, process, frozen: false });
      expect(await driver.list()).toContain(id);
      expect(await driver.usage(id)).toMatchObject({ processes: expect.any(Number) });
      await driver.kill(id);
      const exit = { kind: 'signal', signal: 'SIGKILL' };
      expect(await driver.observe(id)).toEqual({ kind: 'ended', generation: 1, exit });
      expect(await driver.ended(id, process, never)).toEqual(exit);
      expect(await driver.usage(id)).toBeUndefined();
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('a box that nobody booted is absent, and ending or removing it is success', async () => {
      const id = newBoxId();
      expect(await driver.observe(id)).toEqual({ kind: 'absent' });
      await driver.kill(id);
      await driver.removeDisk(id);
      expect(await driver.usage(id)).toBeUndefined();
      expect(await driver.consoleTail(id, 100)).toBe('');
      expect(await driver.list()).not.toContain(id);
    });

    test('a boot of the same generation takes the box over, by whatever instance', async () => {
      const { id, process } = await bootNew();
      const later = await harness.another();
      expect(await later.boot(specOf(id), never)).toMatchObject({ process, tookOver: true });
      expect(await driver.boot(specOf(id), never)).toMatchObject({ process, tookOver: true });
      await later.kill(id);
      expect(await driver.observe(id)).toMatchObject({ kind: 'ended' });
    });

    test('a boot of a later generation ends the earlier one and keeps the disk', async () => {
      const { id, process } = await bootNew();
      await harness.writeDisk(id, 'mark', 'here');
      const second = await driver.boot(specOf(id, 2), never);
      expect(second.tookOver).toBe(false);
      expect(second.process).not.toEqual(process);
      expect(await driver.observe(id)).toMatchObject({ kind: 'running', generation: 2 });
      expect(await harness.readDisk(id, 'mark')).toBe('here');
      expect(await driver.ended(id, process, never)).toEqual({ kind: 'unknown' });
      await driver.kill(id);
    });

    test('an exit code is seen live and by a later instance alike', async () => {
      const { id, process } = await bootNew();
      const live = driver.ended(id, process, never);
      await harness.exitByItself(id, 7);
      const exit = harness.traits.exitOf(7);
      expect(await live).toEqual(exit);
      const later = await harness.another();
      expect(await later.observe(id)).toEqual({ kind: 'ended', generation: 1, exit });
      expect(await later.ended(id, process, never)).toEqual(exit);
      expect(await harness.leavings(id)).toEqual([]);
      await later.kill(id);
      expect(await later.observe(id)).toEqual({ kind: 'ended', generation: 1, exit });
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('every waiter for the end hears of it, and one that is aborted hears why', async () => {
      const { id, process } = await bootNew();
      const gaveUp = new AbortController();
      const aborted = driver.ended(id, process, gaveUp.signal).catch((reason: unknown) => reason);
      const waiters = [driver.ended(id, process, never), driver.ended(id, process, never)];
      const reason = new Error('enough waited');
      gaveUp.abort(reason);
      expect(await aborted).toBe(reason);
      await driver.kill(id);
      expect((await Promise.all(waiters)).map(({ kind }) => kind)).toEqual(['signal', 'signal']);
    });

    test('freezing twice and unfreezing twice is as good as once', async () => {
      const { id, process } = await bootNew();
      await driver.freeze(id, process);
      await driver.freeze(id, process);
      expect(await driver.observe(id)).toMatchObject({ kind: 'running', frozen: true });
      expect(await (await harness.another()).observe(id)).toMatchObject({ kind: 'running', frozen: true });
      await driver.unfreeze(id, process);
      await driver.unfreeze(id, process);
      expect(await driver.observe(id)).toMatchObject({ kind: 'running', frozen: false });
      await driver.kill(id);
    });

    test('a frozen box is torn down as completely as any other', async () => {
      const { id, process } = await bootNew();
      await driver.freeze(id, process);
      await driver.kill(id);
      expect(await driver.observe(id)).toMatchObject({ kind: 'ended', exit: { signal: 'SIGKILL' } });
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('asked to end, the box ends by SIGTERM; asking again is success', async () => {
      const { id, process } = await bootNew();
      await driver.terminate(id, process);
      expect(await driver.ended(id, process, never)).toEqual(harness.traits.terminated);
      await driver.terminate(id, process);
      await driver.kill(id);
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('nothing is done to a process whose start time is not the one that was named', async () => {
      const { id, process } = await bootNew();
      const reused = { ...process, startTime: `${process.startTime}1` };
      await driver.terminate(id, reused);
      expect((await failureOf(driver.freeze(id, reused))).code).toBe('InvalidState');
      expect((await failureOf(driver.unfreeze(id, reused))).code).toBe('InvalidState');
      expect(await driver.ended(id, reused, never)).toEqual({ kind: 'unknown' });
      expect(await driver.observe(id)).toEqual({ kind: 'running', generation: 1, process, frozen: false });
      await driver.kill(id);
    });

    test('the disk of a running box is not removed; that of an ended one is, with all that is known of it', async () => {
      const { id } = await bootNew();
      expect((await failureOf(driver.removeDisk(id))).code).toBe('InvalidState');
      await driver.kill(id);
      await driver.removeDisk(id);
      await driver.removeDisk(id);
      expect(await driver.observe(id)).toEqual({ kind: 'absent' });
      expect(await driver.list()).not.toContain(id);
    });

    test('a boot that was aborted before it began throws the reason and leaves nothing running', async () => {
      const id = newBoxId();
      const reason = new Error('stop came first');
      const failure = await driver
        .boot(specOf(id), AbortSignal.abort(reason))
        .catch((error: unknown) => error);
      expect(failure).toBe(reason);
      expect(await driver.observe(id)).toEqual({ kind: 'absent' });
      expect(await harness.leavings(id)).toEqual([]);
    });

    test('what is asked at the same time is done one after the other', async () => {
      const id = newBoxId();
      const boots = await Promise.all([
        driver.boot(specOf(id), never),
        driver.boot(specOf(id), never),
        driver.boot(specOf(id), never),
      ]);
      expect(new Set(boots.map(({ process }) => process.pid)).size).toBe(1);
      await Promise.all([driver.kill(id), driver.kill(id), driver.observe(id)]);
      await untilValue(
        () => driver.observe(id),
        ({ kind }) => kind === 'ended',
      );
      expect(await harness.leavings(id)).toEqual([]);
    });
  });
};
