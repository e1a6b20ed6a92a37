import { expect, test } from 'vitest';
import { KeyedLock } from '../../src/kernel/keyed-lock.ts';

test('work for one key is done in order, one piece at a time, also after a failure; other keys do not wait', async () => {
  const lock = new KeyedLock<string>();
  const seen: string[] = [];
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = lock.run('a', async () => {
    seen.push('first begins');
    await gate;
    seen.push('first ends');
    throw new Error('as it should');
  });
  const second = lock.run('a', async () => void seen.push('second'));
  await lock.run('b', async () => void seen.push('other key'));
  open();
  await expect(first).rejects.toThrow('as it should');
  await second;
  expect(seen).toEqual(['first begins', 'other key', 'first ends', 'second']);
});
