import { expect, test } from 'vitest';
import { type FileSystemFreezer, Quiescence } from '../../src/agent/quiescence.ts';
import { eventually } from '../support/eventually.ts';

/** A file system that records what is done to it. */
const fileSystem = () => {
  const log: string[] = [];
  const freezer: FileSystemFreezer = {
    freeze: async () => {
      log.push('freezing');
      await new Promise((resolve) => setImmediate(resolve));
      log.push('frozen');
      return { frozen: true, detail: 'frozen' };
    },
    thaw: async () => {
      log.push('thawed');
    },
  };
  return { log, quiescence: new Quiescence(freezer) };
};

test('the watchdog thaws when nobody else does', async () => {
  const { log, quiescence } = fileSystem();
  expect(await quiescence.quiesce(30)).toEqual({ frozen: true, detail: 'frozen' });
  await eventually('it is thawed', () => log.includes('thawed'));
  expect(log).toEqual(['freezing', 'frozen', 'thawed']);
});

test('a thaw ends the watch', async () => {
  const { log, quiescence } = fileSystem();
  await quiescence.quiesce(1);
  await quiescence.thaw();
  const after = [...log];
  await new Promise((resolve) => setTimeout(resolve, 50)); // the watchdog's time, many times over
  expect(log).toEqual(after);
});

test('a second freeze starts the watch afresh', async () => {
  const { log, quiescence } = fileSystem();
  await quiescence.quiesce(1_000_000);
  await quiescence.quiesce(10);
  await eventually('it is thawed', () => log.includes('thawed'));
  expect(log.filter((entry) => entry === 'thawed')).toHaveLength(1);
});

test('freezes and thaws that are asked for at once are done one after the other', async () => {
  const { log, quiescence } = fileSystem();
  await Promise.all([
    quiescence.quiesce(1_000_000),
    quiescence.thaw(),
    quiescence.quiesce(1_000_000),
    quiescence.thaw(),
  ]);
  expect(log).toEqual(['freezing', 'frozen', 'thawed', 'freezing', 'frozen', 'thawed']);
});

test('a freeze that fails is told to its caller and stands in nobody’s way', async () => {
  let failing = true;
  const quiescence = new Quiescence({
    freeze: async () => {
      if (failing) throw new Error('busy');
      return { frozen: false, detail: '' };
    },
    thaw: async () => undefined,
  });
  await expect(quiescence.quiesce(1000)).rejects.toThrow('busy');
  failing = false;
  await expect(quiescence.quiesce(1000)).resolves.toMatchObject({ frozen: false });
});

test('a second freeze that fails leaves the watchdog of the first in place', async () => {
  const log: string[] = [];
  const quiescence = new Quiescence({
    freeze: async () => ({ frozen: log.push('freeze') === 1, detail: '' }),
    thaw: async () => void log.push('thaw'),
  });
  await quiescence.quiesce(1_000_000);
  expect(await quiescence.quiesce(10)).toMatchObject({ frozen: false });
  await eventually('it is thawed', () => log.includes('thaw'));
});

test('a thaw that fails is told to its caller, and tried again until it comes about', async () => {
  const thaws: string[] = [];
  const quiescence = new Quiescence({
    freeze: async () => ({ frozen: true, detail: '' }),
    thaw: async () => {
      if (thaws.push('thaw') < 3) throw new Error('no process can be started');
    },
  });
  await quiescence.quiesce(1_000_000);
  await expect(quiescence.thaw()).rejects.toThrow('no process');
  await eventually('it is thawed', () => thaws.length === 3);
});
