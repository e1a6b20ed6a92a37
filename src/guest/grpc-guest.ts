import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelOptions, connectivityState, credentials } from '@grpc/grpc-js';
import type { ExecSpec } from '../events/exec-events.ts';
import {
  type AttachDiskResponse,
  type ConfigureResponse,
  GuestServiceClient,
  type InspectExecRequest,
  type InspectExecResponse,
  type SignalExecResponse,
} from '../gen/guest/v1/guest.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import type { ExecId } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';
import type {
  DownloadOptions,
  ExecDefaults,
  ExecEnd,
  Guest,
  GuestExec,
  GuestInfo,
  MachineIdentity,
  Transferred,
  UploadOptions,
} from './guest.ts';
import { GrpcGuestExec, startOf } from './guest-exec.ts';
import {
  attachDiskSchema,
  configureSchema,
  inspectExecSchema,
  pingSchema,
  quiesceSchema,
  shutdownSchema,
  signalExecSchema,
  thawSchema,
} from './messages.ts';
import { brokenProtocol } from './status.ts';
import { receiveArchive, sendArchive } from './transfer.ts';
import { answerOf, type Callback } from './unary.ts';

/** Pause between two looks whether a guest that is coming up answers: it adds at most this to a boot. */
const pingRetryMs = 20;
/** What programs have to end by themselves at a shutdown: leaves the guest time to kill the rest and to flush. */
const shutdownGraceMs = limits.shutdownGuestTimeoutMs - 4_000;
/** When whoever froze the guest is gone for so long, the guest thaws by itself. */
const thawAfterMs = 60_000;
/** Of randomness that a machine begins with. */
const seedBytes = 64;

/*
 * There is no keepalive on purpose. The guest is on this machine, so its end closes the connection at once; and a box
 * that is paused answers no probe, yet must find its execs connected when it is resumed.
 */
const channelOptions: ChannelOptions = {
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // the largest message of a guest is a chunk and a few bytes around it: a hostile one cannot make us hold more
  'grpc.max_receive_message_length': 2 * limits.dataChunkBytes,
  'grpc.max_send_message_length': limits.messageMaxBytes,
  'grpc.enable_retries': 0, // the same exec twice would be two programs
  'grpc.use_local_subchannel_pool': 1, // closing one guest must not close another's connection
  'grpc.enable_http_proxy': 0,
};

/** A guest at `unix:PATH`. Connects when it is first used. */
export const connectGuest = (address: string): Guest => new GrpcGuest(address);

class GrpcGuest implements Guest {
  readonly #client: GuestServiceClient;
  readonly #socketPath: string | undefined;

  constructor(address: string) {
    this.#client = new GuestServiceClient(address, credentials.createInsecure(), channelOptions);
    this.#socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
  }

  /** Tries until the guest answers or the signal aborts, from before the guest's socket exists. */
  async ping(signal: AbortSignal): Promise<GuestInfo> {
    let last: unknown;
    while (!signal.aborted) {
      try {
        if (await this.#accepts())
          return await answerOf((done) => this.#client.ping({}, done), pingSchema, signal, 'the ping');
      } catch (error) {
        last = error;
        if (!(error instanceof BoxledgerError && error.code === 'Unavailable')) break;
      }
      await delay(pingRetryMs, undefined, { signal }).catch(() => undefined); // looked at by the loop
    }
    if (!signal.aborted) throw last;
    if (isTimeout(signal))
      throw new BoxledgerError('Unavailable', 'the guest does not answer', { cause: last ?? signal.reason });
    throw signal.reason;
  }

  async attachDisk(signal: AbortSignal): Promise<void> {
    const send = (done: Callback<AttachDiskResponse>) => this.#client.attachDisk({}, done);
    await answerOf(send, attachDiskSchema, signal, 'its disk');
  }

  async configure(identity: MachineIdentity, signal: AbortSignal): Promise<void> {
    const request = { ...identity, seed: randomBytes(seedBytes), unixTimeMs: BigInt(Date.now()) };
    const send = (done: Callback<ConfigureResponse>) => this.#client.configure(request, done);
    await answerOf(send, configureSchema, signal, 'the configuration');
  }

  async shutdown(signal: AbortSignal): Promise<void> {
    const request = { graceMs: shutdownGraceMs };
    await answerOf((done) => this.#client.shutdown(request, done), shutdownSchema, signal, 'the shutdown');
  }

  quiesce(signal: AbortSignal): Promise<{ readonly frozen: boolean; readonly detail: string }> {
    const request = { thawAfterMs };
    return answerOf((done) => this.#client.quiesce(request, done), quiesceSchema, signal, 'the quiesce');
  }

  async thaw(signal: AbortSignal): Promise<void> {
    const request = { unixTimeMs: BigInt(Date.now()) };
    await answerOf((done) => this.#client.thaw(request, done), thawSchema, signal, 'the thaw');
  }

  exec(execId: ExecId, spec: ExecSpec, defaults: ExecDefaults, signal: AbortSignal): GuestExec {
    const start = startOf(execId, spec, defaults, false);
    return new GrpcGuestExec(this.#client.exec(), { $case: 'start', value: start }, signal);
  }

  async startExec(
    execId: ExecId,
    spec: ExecSpec,
    defaults: ExecDefaults,
    signal: AbortSignal,
  ): Promise<number> {
    const start = startOf(execId, spec, defaults, true);
    const exec = new GrpcGuestExec(this.#client.exec(), { $case: 'start', value: start }, signal);
    for await (const output of exec) if (output.kind === 'started') return output.pid;
    throw brokenProtocol('an exec ended without a start');
  }

  attachExec(execId: ExecId, offset: number | undefined, signal: AbortSignal): GuestExec {
    const attach = { execId, offset: offset === undefined ? undefined : BigInt(offset) };
    return new GrpcGuestExec(this.#client.exec(), { $case: 'attach', value: attach }, signal);
  }

  inspectExec(
    execId: ExecId,
    signal: AbortSignal,
  ): Promise<{ readonly pid: number; readonly end: ExecEnd | undefined }> {
    return this.#inspect({ execId, untilEnded: false }, signal);
  }

  async waitExec(execId: ExecId, signal: AbortSignal): Promise<ExecEnd> {
    const { end } = await this.#inspect({ execId, untilEnded: true }, signal);
    if (end === undefined) throw brokenProtocol('a wait for an exec ended before the exec');
    return end;
  }

  async signalExec(execId: ExecId, name: string, signal: AbortSignal): Promise<void> {
    const request = { execId, signal: name };
    const send = (done: Callback<SignalExecResponse>) => this.#client.signalExec(request, done);
    await answerOf(send, signalExecSchema, signal, 'the signal');
  }

  #inspect(request: InspectExecRequest, signal: AbortSignal) {
    const send = (done: Callback<InspectExecResponse>) => this.#client.inspectExec(request, done);
    return answerOf(send, inspectExecSchema, signal, 'the look at the exec');
  }

  upload(
    path: string,
    options: UploadOptions,
    tar: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Transferred> {
    return sendArchive((done) => this.#client.upload(done), { path, ...options }, tar, signal);
  }

  download(path: string, options: DownloadOptions, signal: AbortSignal) {
    return receiveArchive(() => this.#client.download({ path, ...options }), signal);
  }

  close(): void {
    this.#client.close();
  }

  /**
   * Whether somebody listens, found out without the channel: an attempt of its own that fails makes it wait longer and
   * longer before the next.
   */
  async #accepts(): Promise<boolean> {
    const path = this.#socketPath;
    if (
      path === undefined ||
      this.#client.getChannel().getConnectivityState(false) === connectivityState.READY
    )
      return true;
    return new Promise((resolve) => {
      const probe = connect(path);
      probe.once('connect', () => resolve(probe.destroy() !== undefined));
      probe.once('error', () => resolve(false));
    });
  }
}

const isTimeout = (signal: AbortSignal) =>
  signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
