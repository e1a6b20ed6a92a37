import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { Duplex } from 'node:stream';
import { setTimeout as delay, setImmediate as immediate } from 'node:timers/promises';
import { errnoOf } from '../kernel/errno.ts';
import { GreetingReader } from '../mux/greeting.ts';
import { Mux } from '../mux/mux.ts';
import type { MuxStream } from '../mux/mux-stream.ts';

const portsDirectory = '/sys/class/virtio-ports';
const chunkBytes = 64 * 1024;
/** Between two looks whether a host is there: Linux has no event for it that Node could wait for. */
const hostPollMs = 10;

/** The port of that name, by which the host comes. */
export class GuestPort {
  readonly #name: string;
  readonly #accept: (stream: MuxStream) => void;
  #connection: HostConnection | undefined;

  /** `accept`: gets each stream that the host opens. */
  constructor(name: string, accept: (stream: MuxStream) => void) {
    this.#name = name;
    this.#accept = accept;
  }

  /** Serves whatever the host connects, for as long as the machine is up. */
  async serve(): Promise<never> {
    const port = await open(await findPort(this.#name), 'r+');
    const chunk = Buffer.allocUnsafe(chunkBytes);
    // A host that is connected to an agent that has died has not been told: no frame begins like this, so it connects anew.
    const saidSo = port
      .write(Buffer.alloc(1, 0xff))
      .catch((error: unknown) => console.error('the port cannot be written to:', error));
    for (;;) {
      this.#connection = new HostConnection(port, this.#accept);
      for (let bytes = await read(port, chunk); bytes > 0; bytes = await read(port, chunk)) {
        await saidSo; // before anything else is
        if (await this.#connection.receive(chunk.subarray(0, bytes))) continue;
        // Of another connection, perhaps, that began while this machine stood still.
        this.#connection = new HostConnection(port, this.#accept);
        await this.#connection.receive(chunk.subarray(0, bytes));
      }
      await this.#connection.end();
      await delay(hostPollMs);
    }
  }

  /** Resolves once the host has all that was written to it. */
  async flushed(): Promise<void> {
    await this.#connection?.flushed();
  }
}

/** 0: no host is connected. */
const read = async (port: FileHandle, chunk: Buffer): Promise<number> =>
  (await port.read(chunk, 0, chunk.length, null)).bytesRead;

const findPort = async (name: string): Promise<string> => {
  for (const port of await readdir(portsDirectory))
    if ((await readFile(`${portsDirectory}/${port}/name`, 'utf8')).trim() === name) return `/dev/${port}`;
  throw new Error(`this machine has no port ${name}`);
};

/** What comes from one connection of a host, from its greeting on. */
class HostConnection {
  readonly #writer: PortWriter;
  readonly #accept: (stream: MuxStream) => void;
  #greeting: GreetingReader | undefined = new GreetingReader();

  constructor(port: FileHandle, accept: (stream: MuxStream) => void) {
    this.#writer = new PortWriter(port);
    this.#accept = accept;
  }

  /** Resolves once more is wanted; false when it broke the protocol. */
  async receive(bytes: Buffer): Promise<boolean> {
    if (this.#greeting === undefined) await this.#writer.receive(bytes);
    else {
      const found = this.#greeting.read(bytes);
      if (found === undefined) return true;
      this.#greeting = undefined;
      new Mux(this.#writer, this.#accept);
      this.#writer.write(found.greeting);
      await this.#writer.receive(found.rest);
    }
    await immediate(); // a stream hands on what it was given by then
    if (!this.#writer.destroyed) return true;
    await this.#writer.idle;
    return false;
  }

  flushed(): Promise<void> {
    return new Promise((resolve) => this.#writer.write(Buffer.alloc(0), () => resolve()));
  }

  async end(): Promise<void> {
    this.#writer.destroy();
    await this.#writer.idle;
  }
}

/** One connection of a host by the port. */
class PortWriter extends Duplex {
  readonly #port: FileHandle;
  #resume: (() => void) | undefined;
  /** Resolves when nothing is being written any more. */
  idle: Promise<unknown> = Promise.resolve();

  constructor(port: FileHandle) {
    super({ allowHalfOpen: true });
    this.#port = port;
    this.on('error', (error) => console.error('the host’s connection was closed:', error.message));
  }

  /** Resolves once more is wanted. */
  async receive(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0 || this.destroyed || this.push(Buffer.from(bytes))) return;
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
  }

  override _read(): void {
    this.#resume?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.idle = this.#writeAll(chunk).then(
      () => done(),
      (error: Error) => done(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#resume?.();
    done(error);
  }

  async #writeAll(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      try {
        at += (await this.#port.write(chunk, at, chunk.length - at, null)).bytesWritten;
      } catch (error) {
        if (errnoOf(error) !== 'EAGAIN') throw error;
        await delay(1);
      }
    }
  }
}
