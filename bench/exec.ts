import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Client } from '../src/sdk/client.ts';
import type { Operation } from './load.ts';

const program = 'true';

/** One operation: a program is run in a box that is up, through the API, to its end. */
export const prepareExec =
  (client: Client, box: string): Operation =>
  async () => {
    const exec = client.exec(box, program);
    void exec.endStdin();
    for await (const _ of exec);
    return {};
  };

/** Its peer: the same program as a child of this process, with a pipe for each of its streams. */
export const prepareSpawn = (): Operation => async () => {
  const child = spawn(program, { stdio: 'pipe' });
  child.stdout.resume();
  child.stderr.resume();
  await once(child, 'close');
  return {};
};
