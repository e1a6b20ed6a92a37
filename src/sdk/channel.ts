import {
  type ClientUnaryCall,
  credentials,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { nanoid } from 'nanoid';
import { BoxServiceClient } from '../gen/boxledger/v1/box_service.ts';
import { DiskServiceClient } from '../gen/boxledger/v1/disk_service.ts';
import { EventServiceClient } from '../gen/boxledger/v1/event_service.ts';
import { ExecServiceClient } from '../gen/boxledger/v1/exec_service.ts';
import { HistoryServiceClient } from '../gen/boxledger/v1/history_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { wireError } from './wire-error.ts';

/** What every call takes. */
export interface CallOptions {
  /** Ends the call; it then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the call may take, its repetitions included; unset: no limit. */
  readonly timeoutMs?: number | undefined;
}

export interface ConnectOptions {
  /** HOST:PORT of the server. */
  readonly address: string;
  /** Bearer token, for a server that asks for one. */
  readonly token?: string | undefined;
  /** Who the events will say has asked: 1 to 256 printable ASCII characters. */
  readonly actor?: string | undefined;
  /** How often a call is repeated that found no server or an unavailable one. Default 3. */
  readonly retries?: number | undefined;
}

/** The services of one server, and how to call them. */
export interface Channel {
  readonly address: string;
  readonly boxes: BoxServiceClient;
  readonly disks: DiskServiceClient;
  readonly execs: ExecServiceClient;
  readonly events: EventServiceClient;
  readonly history: HistoryServiceClient;
  readonly retries: number;
  metadata(): Metadata;
  error(error: ServiceError): BoxledgerError;
  close(): void;
}

const answerMaxBytes = 64 * 1024 * 1024;
const firstRetryDelayMs = 150;
const keepAliveMs = 60_000;

export const openChannel = ({ address, token, actor, retries = 3 }: ConnectOptions): Channel => {
  const options = {
    'grpc.max_receive_message_length': answerMaxBytes,
    'grpc.initial_reconnect_backoff_ms': firstRetryDelayMs / 2,
    'grpc.keepalive_time_ms': keepAliveMs,
  };
  const boxes = new BoxServiceClient(address, credentials.createInsecure(), options);
  const shared = { ...options, channelOverride: boxes.getChannel() };
  const disks = new DiskServiceClient(address, credentials.createInsecure(), shared);
  const execs = new ExecServiceClient(address, credentials.createInsecure(), shared);
  const events = new EventServiceClient(address, credentials.createInsecure(), shared);
  const history = new HistoryServiceClient(address, credentials.createInsecure(), shared);
  return {
    address,
    boxes,
    disks,
    execs,
    events,
    history,
    retries,
    metadata: () => {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      if (actor !== undefined) metadata.set('x-boxledger-actor', actor);
      return metadata;
    },
    error: (error) => wireError(error, address),
    close: () => boxes.close(),
  };
};

type Callback<Response> = (error: ServiceError | null, response: Response) => void;
export type Send<Response> = (
  metadata: Metadata,
  options: GrpcCallOptions,
  callback: Callback<Response>,
) => ClientUnaryCall;

/**
 * One call with one answer. It is repeated while the server is `Unavailable`: only for calls that change nothing or
 * carry a command id.
 */
export const callUnary = <Response>(
  channel: Channel,
  options: CallOptions,
  send: Send<Response>,
): Promise<Response> =>
  repeated(channel, options, (deadlineMs) => callOnce(channel, options.signal, deadlineMs, send));

/** Makes a call, by the deadline that it is given, again and again while the server is `Unavailable`. */
export const repeated = async <Result>(
  channel: Channel,
  options: CallOptions,
  call: (deadlineMs: number) => Promise<Result>,
): Promise<Result> => {
  const deadlineMs =
    options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.timeoutMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await call(deadlineMs);
    } catch (error) {
      const delayMs = firstRetryDelayMs * 2 ** attempt;
      const again =
        error instanceof BoxledgerError && error.code === 'Unavailable' && attempt < channel.retries;
      if (!again || Date.now() + delayMs >= deadlineMs) throw error;
      await pause(delayMs, options.signal);
    }
  }
};

const callOnce = <Response>(
  channel: Channel,
  signal: AbortSignal | undefined,
  deadlineMs: number,
  send: Send<Response>,
) =>
  new Promise<Response>((resolve, reject) => {
    signal?.throwIfAborted();
    const call = send(channel.metadata(), { deadline: deadlineMs }, (error, response) => {
      signal?.removeEventListener('abort', cancel);
      if (error === null) resolve(response);
      else reject(signal?.aborted ? signal.reason : channel.error(error));
    });
    const cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
  });

const pause = (delayMs: number, signal: AbortSignal | undefined) =>
  new Promise<void>((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', aborted);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', aborted, { once: true });
  });

/** What every change takes besides. */
export interface ChangeOptions extends CallOptions {
  /** Makes repeating the change safe; one is minted for each call when absent, so that it can be retried. */
  readonly commandId?: string | undefined;
  /** `Conflict` unless the box's stream is at this version. */
  readonly expectedVersion?: bigint | undefined;
  /** Why; kept with the events. */
  readonly reason?: string | undefined;
}

export const mutationOf = ({ commandId, expectedVersion, reason }: ChangeOptions) => ({
  commandId: commandId ?? nanoid(),
  expectedVersion,
  reason,
});
