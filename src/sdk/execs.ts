import {
  type ExecInfo,
  type GetExecResponse,
  ListExecsRequest,
  type ListExecsResponse,
  type StartExecResponse,
  type WaitExecResponse,
} from '../gen/boxledger/v1/exec_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { Exec } from './attached-exec.ts';
import { type CallOptions, type Channel, callUnary } from './channel.ts';
import { type AttachOptions, attachExec, type ExecOptions, startOf } from './exec.ts';

export type { ExecInfo };

/** Programs that run in boxes, whoever asked for them. */
export interface ExecClient {
  /** Runs a program that nobody is attached to, its input at its end; resolves once it runs. */
  start(box: string, command: string, options?: ExecOptions): Promise<StartExecResponse>;
  /** Attaches to a program: what is kept of its output, then what it writes. */
  attach(execId: string, options?: AttachOptions): Exec;
  get(execId: string, options?: CallOptions): Promise<ExecInfo>;
  /** Resolves once it has ended, at once if it has. */
  wait(execId: string, options?: CallOptions): Promise<ExecInfo>;
  /** Of one box, newest first, page by page as they are read. */
  list(
    box: string,
    options?: CallOptions & { readonly includeEnded?: boolean | undefined },
  ): AsyncIterable<ExecInfo>;
  /** To the process group. Name as in signal(7): `SIGTERM`. */
  signal(execId: string, name: string, options?: CallOptions): Promise<void>;
}

export const openExecs = (channel: Channel): ExecClient => {
  const { execs } = channel;
  return {
    start: (box, command, options = {}) => {
      const request = { start: startOf(box, command, options) };
      // Not repeated by itself: a program that may have run is not run twice, nor told to be a repetition, unasked.
      return callUnary<StartExecResponse>({ ...channel, retries: 0 }, options, (...rest) =>
        execs.startExec(request, ...rest),
      );
    },
    attach: (execId, options = {}) => attachExec(channel, execId, options),
    get: async (execId, to = {}) =>
      execOf(await callUnary<GetExecResponse>(channel, to, (...rest) => execs.getExec({ execId }, ...rest))),
    wait: async (execId, to = {}) =>
      execOf(
        await callUnary<WaitExecResponse>(channel, to, (...rest) => execs.waitExec({ execId }, ...rest)),
      ),
    list: (box, options = {}) => listExecs(channel, box, options),
    signal: async (execId, signal, to = {}) => {
      await callUnary(channel, to, (...rest) => execs.signalExec({ execId, signal }, ...rest));
    },
  };
};

async function* listExecs(
  channel: Channel,
  box: string,
  { includeEnded = false, ...to }: CallOptions & { readonly includeEnded?: boolean | undefined },
): AsyncGenerator<ExecInfo, void, undefined> {
  let pageToken = '';
  do {
    const request = ListExecsRequest.create({ box, includeEnded, pageToken });
    const page = await callUnary<ListExecsResponse>(channel, to, (...rest) =>
      channel.execs.listExecs(request, ...rest),
    );
    yield* page.execs;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

const execOf = ({ exec }: { readonly exec: ExecInfo | undefined }): ExecInfo => {
  if (exec !== undefined) return exec;
  throw new BoxledgerError('Internal', 'the server answered without the exec');
};
