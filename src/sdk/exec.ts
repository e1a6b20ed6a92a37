import { ExecRequest, type ExecStart, type TerminalSize } from '../gen/boxledger/v1/box_service.ts';
import { AttachExecRequest } from '../gen/boxledger/v1/exec_service.ts';
import { attachedBy, type Exec } from './attached-exec.ts';
import { type CallOptions, type ChangeOptions, type Channel, mutationOf } from './channel.ts';
import { reattaching } from './reattach.ts';
import { streamStart } from './streams.ts';

/** A program to run in a box. The end of the call, by its signal or its time, is not the program's: that goes on. */
export interface ExecOptions extends Omit<ChangeOptions, 'expectedVersion'> {
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Absolute; the box's when unset. */
  readonly workingDir?: string | undefined;
  /** Name or id in the box, with a group after a colon if it is to be another than the user's own. */
  readonly user?: string | undefined;
  /** Milliseconds after which the program is killed, unlike `timeoutMs`, which ends the call. */
  readonly programTimeoutMs?: number | undefined;
  /** Runs it with a terminal of this size. */
  readonly tty?: Readonly<Pick<TerminalSize, 'rows' | 'cols'>> | undefined;
  /** False refuses where the box would have to be started first. */
  readonly autoStart?: boolean | undefined;
  /** Attaches again when the connection to the server is lost. What is said to the program meanwhile is lost. */
  readonly reattach?: boolean | undefined;
}

export interface AttachOptions extends CallOptions {
  /** Bytes of output, of both streams together and with those skipped, that the caller has already. */
  readonly offset?: bigint | undefined;
}

/** Starts the call. It is never repeated by itself: a program that may have run is not run twice unasked. */
export const openExec = (channel: Channel, box: string, command: string, options: ExecOptions): Exec => {
  const call = channel.boxes.exec(...streamStart(channel, options));
  const start = { $case: 'start', value: startOf(box, command, options) } as const;
  const exec = attachedBy(channel, call, options, start, (message) => ExecRequest.create({ message }));
  if (options.reattach !== true) return exec;
  const again = (execId: string, offset: bigint) => attachExec(channel, execId, { ...options, offset });
  return reattaching(exec, again, options.signal);
};

export const attachExec = (channel: Channel, execId: string, options: AttachOptions): Exec => {
  const call = channel.execs.attachExec(...streamStart(channel, options));
  const attach = { $case: 'attach', value: { execId, offset: options.offset } } as const;
  return attachedBy(channel, call, options, attach, (message) => AttachExecRequest.create({ message }));
};

export const startOf = (box: string, command: string, options: ExecOptions): ExecStart => ({
  mutation: { ...mutationOf(options), expectedVersion: undefined },
  box,
  command,
  args: [...(options.args ?? [])],
  env: { ...options.env },
  workingDir: options.workingDir,
  user: options.user,
  timeoutMs: options.programTimeoutMs,
  tty: options.tty,
  autoStart: options.autoStart,
});
