import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { greet, nonceBytes } from '../../mux/greeting.ts';
import { Mux } from '../../mux/mux.ts';

/** A guest that has not answered by then, up or not, may have missed that this is another connection. Longer each time. */
const [greetingFirstMs, greetingMaxMs] = [1_000, 10_000] as const;
/** The guest looks every 10 ms whether its host has gone. */
const pauseMs = 30;

/** Connections that wait for the agent at a time. Of more, those that came first are closed: they may have gone long ago. */
const waitingMax = 64;

/**
 * Carries connections to a unix socket of the host through the one port of a machine to its agent. It connects to the
 * machine as long as it is open, and again after a loss. Whoever connects while the agent does not answer yet, or the
 * machine stands still, waits until it does.
 */
export class GuestLink {
  #portPath: string;
  #socketPath: string;
  readonly #onAnswer: (() => void) | undefined;
  readonly #closed = new AbortController();
  readonly #server: Server;
  readonly #waiting = new Set<Socket>();
  #mux: Mux | undefined;

  /**
   * `portPath`: QEMU's socket for the port, there or not yet. `socketPath`: what is served, in place of what is there.
   * `onAnswer`: called each time the agent is reached.
   */
  constructor(portPath: string, socketPath: string, onAnswer?: () => void) {
    this.#portPath = portPath;
    this.#socketPath = socketPath;
    this.#onAnswer = onAnswer;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#take(socket));
    this.#server.on('error', () => this.close()); // whoever connects hears of it
    rmSync(socketPath, { force: true });
    const umask = process.umask(0o177); // set while the file is made: a chmod afterwards would leave a gap
    this.#server.listen(socketPath);
    process.umask(umask);
    void this.#hold();
  }

  /** What it serves and the port have been renamed. What is connected stays so. */
  moved(portPath: string, socketPath: string): void {
    this.#portPath = portPath;
    this.#socketPath = socketPath;
  }

  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#server.close();
    rmSync(this.#socketPath, { force: true });
    for (const socket of this.#waiting) socket.destroy();
  }

  /** One connection to the port after the other. */
  async #hold(): Promise<void> {
    const { signal } = this.#closed;
    let greetingMs: number = greetingFirstMs;
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
      if (answered) {
        greetingMs = greetingFirstMs;
        this.#serve(port);
        await gone;
        this.#mux = undefined;
      } else if (inTime.aborted) greetingMs = Math.min(greetingMs * 2, greetingMaxMs);
      port.destroy();
      signal.removeEventListener('abort', close);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #serve(port: Socket): void {
    this.#mux = new Mux(port);
    port.resume();
    this.#onAnswer?.();
    for (const socket of this.#waiting) carry(socket, this.#mux);
    this.#waiting.clear();
  }

  #take(socket: Socket): void {
    socket.on('error', () => undefined); // whoever connected hears of its own
    if (this.#mux?.isGone === false) {
      carry(socket, this.#mux);
      return;
    }
    const [oldest] = this.#waiting;
    if (this.#waiting.size >= waitingMax) oldest?.destroy();
    this.#waiting.add(socket);
    socket.once('close', () => this.#waiting.delete(socket));
  }
}

const carry = (socket: Socket, mux: Mux): void => {
  const stream = mux.open();
  if (stream === undefined) return void socket.destroy();
  socket.pipe(stream).pipe(socket);
  stream.once('close', () => socket.destroySoon());
  // What it had said to its end still goes through.
  socket.once('close', () => {
    if (!stream.writableEnded || stream.writableFinished) stream.destroy();
    else stream.once('finish', () => stream.destroy());
  });
};
