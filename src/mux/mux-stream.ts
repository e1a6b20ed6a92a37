import { Duplex } from 'node:stream';
import { brokenMux, dataMaxBytes, encodeFrame, encodeWindow, frameCost, windowBytes } from './frames.ts';

/** What a stream asks of what carries it. */
export interface StreamCarrier {
  /** `taken` is called once more can be written. */
  send(frame: Buffer, taken: () => void): void;
  /** The stream has gone, on this side. `whole`: both sides have said all that they had to say. */
  gone(id: number, whole: boolean): void;
}

/** One of the streams of a mux. Neither side can make the other hold more than `windowBytes` of it, and what streams buffer. */
export class MuxStream extends Duplex {
  readonly #id: number;
  readonly #carrier: StreamCarrier;
  /** What the other side takes, and may send, still. */
  #sendWindow = windowBytes;
  #receiveWindow = windowBytes;
  /** Received, and not yet granted again. */
  #unread = 0;
  #blocked: (() => void) | undefined;
  #remoteDone = false;
  /** The other side takes nothing any more. */
  #refused = false;
  /** What was granted last is still on its way. */
  #granting = false;

  constructor(id: number, carrier: StreamCarrier) {
    super({ allowHalfOpen: true });
    this.#id = id;
    this.#carrier = carrier;
  }

  receive(payload: Buffer): void {
    if (this.#remoteDone) throw brokenMux(`stream ${this.#id} has ended, and goes on`);
    const cost = payload.length + frameCost;
    this.#receiveWindow -= cost;
    if (this.#receiveWindow < 0) throw brokenMux(`stream ${this.#id} is over its window`);
    this.#unread += cost;
    this.push(Buffer.from(payload));
  }

  receiveEnd(): void {
    this.#remoteDone = true;
    this.push(null);
  }

  receiveWindow(bytes: number): void {
    this.#sendWindow += bytes;
    if (this.#sendWindow > windowBytes) throw brokenMux(`stream ${this.#id} is given more than its window`);
    this.#unblock();
  }

  /** What had come before is still there to be read, if it came to its end. */
  receiveReset(): void {
    if (!this.#remoteDone || this.readableEnded) {
      this.destroy();
      return;
    }
    this.#refused = true;
    this.#unblock();
    this.once('end', () => this.destroy());
  }

  #unblock(): void {
    const blocked = this.#blocked;
    this.#blocked = undefined;
    blocked?.();
  }

  override _read(): void {
    this.#grant();
  }

  /** Half a window at a time, and one after the other: who does not take what it is granted gets no more of it. */
  #grant(): void {
    if (this.#granting || this.#remoteDone || this.#unread < windowBytes / 2) return;
    const bytes = this.#unread;
    this.#unread = 0;
    this.#receiveWindow += bytes;
    this.#granting = true;
    this.#carrier.send(encodeWindow(this.#id, bytes), () => {
      this.#granting = false;
      this.#grant();
    });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (chunk.length === 0 || this.destroyed) {
      done();
      return;
    }
    if (this.#refused) {
      done(new Error('the other side takes nothing any more'));
      return;
    }
    const size = Math.min(chunk.length, dataMaxBytes, this.#sendWindow - frameCost);
    if (size <= 0) {
      this.#blocked = () => this._write(chunk, _encoding, done);
      return;
    }
    this.#sendWindow -= size + frameCost;
    this.#carrier.send(encodeFrame('data', this.#id, chunk.subarray(0, size)), () =>
      this._write(chunk.subarray(size), _encoding, done),
    );
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#carrier.send(encodeFrame('end', this.#id), () => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#blocked = undefined;
    this.#carrier.gone(this.#id, this.#remoteDone && this.writableFinished);
    done(error);
  }
}
