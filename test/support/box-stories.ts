import { BoxledgerError } from '../../src/kernel/errors.ts';
import type { Client, Event, Exit } from '../../src/sdk/client.ts';
import { eventually } from './eventually.ts';

/** All that has happened to a box. */
export const eventsOf = async (client: Client, boxId: string): Promise<Event[]> => {
  const events: Event[] = [];
  for await (const event of client.readStream(`box/${boxId}`)) events.push(event);
  return events;
};

export const typesOf = async (client: Client, boxId: string): Promise<string[]> =>
  (await eventsOf(client, boxId)).map(({ type }) => type);

/** Calls again for as long as the answer is `Unavailable`; the call must carry a command id if it changes something. */
export const insistently = async <Result>(
  call: () => Promise<Result>,
  timeoutMs = 60_000,
): Promise<Result> => {
  const { result } = await eventually(
    'an answer other than Unavailable',
    async () => {
      try {
        return { result: await call() };
      } catch (error) {
        if (error instanceof BoxledgerError && error.code === 'Unavailable') return undefined;
        throw error;
      }
    },
    timeoutMs,
  );
  return result;
};

/** The code of the error that the call ends with; `ok` if it succeeds. */
export const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error instanceof BoxledgerError ? error.code : String(error)),
  );

/** What the program writes to its standard output; throws unless it ends with 0. */
export const outputOf = async (
  client: Client,
  box: string,
  command: string,
  args: readonly string[] = [],
): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let exit: Exit | undefined;
  for await (const output of client.exec(box, command, { args })) {
    if (output.kind === 'stdout') chunks.push(output.data);
    if (output.kind === 'exited') exit = output.exit;
  }
  const text = Buffer.concat(chunks).toString();
  if (exit?.how?.$case !== 'code' || exit.how.value !== 0)
    throw new Error(`${command} ended with ${JSON.stringify(exit?.how)}: ${text}`);
  return text;
};

/** Runs a shell script in the box that goes on by itself, in a session of its own. */
export const runInBackground = async (client: Client, box: string, script: string): Promise<void> => {
  await outputOf(client, box, 'sh', ['-c', `setsid sh -c "$0" </dev/null >/dev/null 2>&1 &`, script]);
};
