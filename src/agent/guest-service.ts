import { hostname } from 'node:os';
import type { GuestServiceServer } from '../gen/guest/v1/guest.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import type { Environment } from './environment.ts';
import type { ExecCalls } from './exec-calls.ts';
import type { Machine } from './machine.ts';
import type { Quiescence } from './quiescence.ts';
import type { Shutdown, ShutdownResult } from './shutdown.ts';
import { statusOf } from './status.ts';
import { agentVersion } from './version.ts';

const graceMaxMs = 60_000;
const thawAfterMaxMs = 3_600_000;

export interface GuestParts {
  readonly environment: Environment;
  readonly execs: ExecCalls;
  readonly quiescence: Quiescence;
  readonly shutdown: Shutdown;
  /** That the agent has to itself; undefined: its box is no machine. */
  readonly machine: Machine | undefined;
  /** Called when a Shutdown has been answered. */
  readonly ended: () => void;
}

/** The service, whatever carries it. What Ping does not need is loaded when it is first asked for. */
export const createGuestService = (parts: GuestParts): GuestServiceServer => ({
  ping: (_call, answer) => answer(null, { agentVersion, pid: process.pid, hostname: hostname() }),

  attachDisk: (_call, answer) =>
    answerWith(answer, async () => {
      await machineOf(parts).attachDisk();
      return {};
    }),

  configure: ({ request: { unixTimeMs, ...request } }, answer) =>
    answerWith(answer, async () => {
      await machineOf(parts).configure({ ...request, unixTimeMs: Number(unixTimeMs) });
      return {};
    }),

  shutdown: (call, answer) => {
    const { graceMs } = call.request;
    answerWith(answer, () => within('graceMs', graceMs, 0, graceMaxMs, () => ending(parts, graceMs)));
  },

  quiesce: (call, answer) => {
    const { thawAfterMs } = call.request;
    answerWith(answer, () => {
      parts.shutdown.refuseWhenEnding();
      return within('thawAfterMs', thawAfterMs, 1, thawAfterMaxMs, () =>
        parts.quiescence.quiesce(thawAfterMs),
      );
    });
  },

  thaw: ({ request: { unixTimeMs } }, answer) =>
    answerWith(answer, async () => {
      await parts.quiescence.thaw();
      await parts.machine?.setClock(Number(unixTimeMs));
      return {};
    }),

  exec: (call) => parts.execs.exec(call),

  inspectExec: ({ request: { execId, untilEnded } }, answer) =>
    answerWith(answer, () => parts.execs.inspect(execId, untilEnded)),

  signalExec: ({ request: { execId, signal } }, answer) =>
    answerWith(answer, async () => {
      parts.execs.signal(execId, signal);
      return {};
    }),

  upload: (call, answer) =>
    answerWith(answer, async () => {
      const { upload } = await import('./upload.ts');
      return parts.shutdown.undoing((signal) => upload(call, parts.environment.home, signal));
    }),

  download: (call) => {
    const run = async () => {
      parts.shutdown.refuseWhenEnding();
      const { download } = await import('./download.ts');
      await download(call, parts.environment.home);
    };
    run().then(
      () => call.end(),
      (error: unknown) => call.emit('error', statusOf(error)),
    );
  },
});

const ending = async ({ shutdown, ended }: GuestParts, graceMs: number): Promise<ShutdownResult> => {
  const result = await shutdown.end(graceMs);
  setImmediate(ended);
  return result;
};

type Answer<Response> = (error: ReturnType<typeof statusOf> | null, response?: Response) => void;

const answerWith = <Response>(answer: Answer<Response>, work: () => Promise<Response>): void => {
  Promise.resolve()
    .then(work)
    .then(
      (response) => answer(null, response),
      (error: unknown) => answer(statusOf(error)),
    );
};

const within = <Result>(
  field: string,
  value: number,
  min: number,
  max: number,
  work: () => Result,
): Result => {
  if (value < min || value > max)
    throw BoxledgerError.fromRefusal(invalidArgument([{ field, problem: `must be ${min} to ${max}` }]));
  return work();
};

const machineOf = ({ machine }: GuestParts): Machine => {
  if (machine !== undefined) return machine;
  throw new BoxledgerError('Unsupported', 'this box is no machine of its own');
};
