import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { BoxledgerError } from '../../kernel/errors.ts';

const answerSchema = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ event: z.string() }),
]);

/** Has the machine carry one command out, by name and with its arguments, and gives what it returns. */
export type AskMachine = (command: string, args?: Readonly<Record<string, unknown>>) => Promise<unknown>;

const timeoutMs = 10_000;
/** All that is asked on one connection: a machine that goes on saying something keeps nobody for longer. */
const totalMs = 30_000;
/** QEMU may be taken over from inside of its machine: no answer of ours is nearly as long. */
const answerMaxBytes = 1 << 20;

/**
 * Work with a machine's monitor (QEMU's machine protocol), on a connection of its own. Throws `Unavailable` when it does
 * not answer in time, `Internal` with what it said when it cannot do what it was asked for.
 */
export const withMonitor = async <Result>(
  path: string,
  work: (ask: AskMachine) => Promise<Result>,
  limitMs = totalMs,
): Promise<Result> => {
  const socket = connect(path);
  let received = 0;
  let failure: unknown;
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (received > answerMaxBytes) socket.destroy(new Error('it says too much'));
  });
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
  const deadline = setTimeout(() => socket.destroy(new Error('it does not come to an end')), limitMs);
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  socket.on('error', (error) => {
    failure = error;
    lines.close();
  });
  const answers = lines[Symbol.asyncIterator]();
  const answer = async (asked: string): Promise<unknown> => {
    for (;;) {
      const { value, done } = await answers.next();
      if (done === true) throw failure ?? new Error('it closed the connection');
      const said = answerSchema.parse(JSON.parse(value));
      if ('error' in said) throw refused(asked, said.error.desc);
      if ('return' in said) return said.return;
      if ('QMP' in said) return undefined;
    }
  };
  const ask: AskMachine = (command, args) => {
    socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    return answer(command);
  };
  try {
    await answer('greet');
    await ask('qmp_capabilities');
    return await work(ask);
  } catch (error) {
    if (error instanceof BoxledgerError) throw error;
    throw new BoxledgerError('Unavailable', "the machine's monitor does not answer", { cause: error });
  } finally {
    clearTimeout(deadline);
    socket.destroy();
  }
};

const refused = (command: string, said: string) =>
  new BoxledgerError('Internal', `the machine cannot carry ${command} out: ${said.slice(0, 500)}`);

const statusSchema = z.object({ status: z.string() });
export const statusOf = async (ask: AskMachine): Promise<string> =>
  statusSchema.parse(await ask('query-status')).status;

const migrationSchema = z.object({ status: z.string().optional(), 'error-desc': z.string().optional() });
const migrationPollMs = 4;

/** Waits until the machine's state has gone out, or has come in. */
export const migrated = async (ask: AskMachine, limitMs = timeoutMs): Promise<void> => {
  for (const until = performance.now() + limitMs; ; ) {
    const { status, 'error-desc': error } = migrationSchema.parse(await ask('query-migrate'));
    if (status === 'completed') return;
    if (status === 'failed' || performance.now() > until)
      throw new BoxledgerError('Internal', `the machine's state could not be moved: ${error ?? status}`);
    await delay(migrationPollMs);
  }
};

/** Whether the machine's memory goes with its state: it does not where it is a file of the host's. To be said on both sides. */
export const carryMemory = (ask: AskMachine, along: boolean) =>
  ask('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: !along }] });
