import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { BoxledgerError } from '../../kernel/errors.ts';

const answerSchema = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ return: z.unknown(), id: z.int().optional() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.int().optional() }),
  z.object({ event: z.string() }),
]);

/** One command of QEMU's machine protocol, by name and with its arguments. */
export type QmpCommand = readonly [name: string, args?: Readonly<Record<string, unknown>>];

const timeoutMs = 10_000;
/** QEMU may be taken over from inside of its machine: no answer of ours is nearly as long. */
const answerMaxBytes = 1 << 20;

/**
 * Has the machine's monitor carry the commands out, one after the other, and gives what each returned. Throws `Unavailable`
 * when it does not answer in time, `Internal` with what it said when it cannot.
 */
export const qmp = async (path: string, commands: readonly QmpCommand[]): Promise<readonly unknown[]> => {
  const socket = connect(path);
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (received > answerMaxBytes) socket.destroy(new Error('it says too much'));
  });
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
  const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
  const returned: unknown[] = [];
  const asked: readonly QmpCommand[] = [['qmp_capabilities'], ...commands];
  const ask = (index: number) => {
    const [execute, args] = asked[index] ?? [];
    socket.write(`${JSON.stringify({ execute, arguments: args, id: index })}\n`);
  };
  let failure: unknown;
  socket.on('error', (error) => {
    failure = error;
    lines.close();
  });
  try {
    for await (const line of lines) {
      const answer = answerSchema.parse(JSON.parse(line));
      if ('QMP' in answer) ask(0);
      else if ('error' in answer) throw refused(asked[returned.length]?.[0], answer.error.desc);
      else if ('return' in answer) {
        if (returned.push(answer.return) === asked.length) return returned.slice(1);
        ask(returned.length);
      }
    }
    throw failure ?? new Error('it closed the connection');
  } catch (error) {
    if (error instanceof BoxledgerError) throw error;
    throw new BoxledgerError('Unavailable', "the machine's monitor does not answer", { cause: error });
  } finally {
    socket.destroy();
  }
};

const refused = (command: string | undefined, said: string) =>
  new BoxledgerError('Internal', `the machine cannot carry ${command} out: ${said.slice(0, 500)}`);
