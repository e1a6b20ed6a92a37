import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { greet, nonceBytes } from '../../mux/greeting.ts';
import { Mux } from '../../mux/mux.ts';
import { removeTree } from '../supervised/files.ts';

/** A guest that has not answered by then, up or not, may have missed that this is another connection. */
const greetingMs = 10_000;
/** The guest looks every 10 ms whether its host has gone. */
const pauseMs = 30;

/**
 * Carries connections to a unix socket of the host through the one port of a machine to its agent. It connects to the
 * machine as long as it is open, and again after a loss. The socket is there while the agent answers.
 */
export class GuestLink {
  readonly #portPath: string;
  readonly #socketPath: string;
  readonly #onAnswer: (() => void) | undefined;
  readonly #closed = new AbortController();

  /** `portPath`: QEMU's socket for the port, there or not yet. `socketPath`: what is served, in place of what is there. */
  constructor(portPath: string, socketPath: string, onAnswer?: () => void) {
    this.#portPath = portPath;
    this.#socketPath = socketPath;
    this.#onAnswer = onAnswer;
    void this.#hold();
  }

  close(): void {
    this.#closed.abort();
    rmSync(this.#socketPath, { force: true });
  }

  /** One connection to the port after the other. */
  async #hold(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      const port = connect({ path: this.#portPath, allowHalfOpen: false });
      const gone = new Promise((resolve) => port.once('close', resolve));
      port.on('error', () => undefined); // its close tells
      const close = () => port.destroy();
      signal.addEventListener('abort', close, { once: true });
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(greetingMs)]);
      // False: no machine, or no agent yet. It is tried again.
      const answered = await greet(port, randomBytes(nonceBytes), inTime).then(
        () => true,
        () => false,
      );
      if (answered) await this.#serve(port, gone);
      port.destroy();
      signal.removeEventListener('abort', close);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #serve(port: Socket, gone: Promise<unknown>): Promise<void> {
    const mux = new Mux(port);
    const server = createServer({ allowHalfOpen: true }, (socket) => carry(socket, mux));
    server.on('error', () => port.destroy());
    await removeTree(this.#socketPath);
    const umask = process.umask(0o177); // set while the file is made: a chmod afterwards would leave a gap
    server.listen(this.#socketPath);
    process.umask(umask);
    port.resume();
    this.#onAnswer?.();
    await gone;
    server.close();
  }
}

const carry = (socket: Socket, mux: Mux): void => {
  socket.on('error', () => undefined); // whoever connected hears of its own
  const stream = mux.open();
  if (stream === undefined) return void socket.destroy();
  socket.pipe(stream).pipe(socket);
  stream.once('close', () => socket.destroySoon());
  socket.once('close', () => stream.destroy());
};
