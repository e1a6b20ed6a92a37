import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { HostId } from '../../src/kernel/ids.ts';

const program = fileURLToPath(new URL('../effects/dying-delivery-loop.ts', import.meta.url));

/** Runs another process that takes the host's next delivery, and kills it (SIGKILL) in the midst of it. */
export const dieInDelivery = async (url: string, hostId: HostId): Promise<void> => {
  const child = spawn(process.execPath, ['--import', 'tsx', program, url, hostId], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const [said] = await Promise.race([once(child.stdout, 'data'), ended.then(() => [undefined])]);
  child.kill('SIGKILL');
  await ended;
  if (said === undefined) throw new Error('the consumer ended before it took a delivery');
};
