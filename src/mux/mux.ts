import type { Duplex } from 'node:stream';
import { brokenMux, encodeFrame, type Frame, FrameReader } from './frames.ts';
import { MuxStream } from './mux-stream.ts';

/** More streams than any honest use of a guest has at once. */
const streamsMax = 256;

/**
 * Streams over one byte stream. It ends with that, and all of its streams with it; what breaks the protocol ends it, and
 * nothing else. `accept`: takes the streams that the other side opens; without it, it may open none.
 */
export class Mux {
  readonly #carrier: Duplex;
  readonly #accept: ((stream: MuxStream) => void) | undefined;
  readonly #streams = new Map<number, MuxStream>();
  /** Not opened yet, by whoever opens. */
  #next = 1;
  #taken: (() => void)[] = [];

  constructor(carrier: Duplex, accept?: (stream: MuxStream) => void) {
    this.#carrier = carrier;
    this.#accept = accept;
    const reader = new FrameReader();
    carrier.on('data', (chunk: Buffer) => {
      try {
        for (const frame of reader.read(chunk)) this.#receive(frame);
      } catch (error) {
        carrier.destroy(error as Error); // thrown above: always one
      }
    });
    carrier.on('drain', () => {
      const taken = this.#taken;
      this.#taken = [];
      for (const next of taken) next();
    });
    carrier.once('end', () => carrier.destroy());
    carrier.once('close', () => {
      this.#taken = [];
      for (const stream of this.#streams.values()) stream.destroy();
    });
  }

  /** No stream can be opened any more. */
  get isGone(): boolean {
    return this.#carrier.destroyed;
  }

  /** Undefined when the carrier has gone, or there are too many. */
  open(): MuxStream | undefined {
    if (this.#carrier.destroyed || this.#streams.size >= streamsMax) return undefined;
    const id = this.#next++;
    this.#send(encodeFrame('open', id));
    return this.#add(id);
  }

  #add(id: number): MuxStream {
    const stream = new MuxStream(id, {
      send: (frame, taken) => this.#send(frame, taken),
      gone: (gone, whole) => {
        // Not of a whole one: the other side may have some of it still to read.
        if (this.#streams.delete(gone) && !whole) this.#send(encodeFrame('reset', gone));
      },
    });
    this.#streams.set(id, stream);
    stream.on('error', () => undefined); // whoever uses it hears of its own
    return stream;
  }

  #send(frame: Buffer, taken?: () => void): void {
    if (this.#carrier.destroyed) return;
    const more = this.#carrier.write(frame);
    if (taken === undefined) return;
    if (more) process.nextTick(taken);
    else this.#taken.push(taken);
  }

  #receive({ type, stream: id, payload }: Frame): void {
    if (type === 'open') {
      this.#opened(id);
      return;
    }
    if (id >= this.#next) throw brokenMux(`stream ${id} was never opened`);
    const stream = this.#streams.get(id);
    // One that has gone here: the other side has not heard yet.
    if (stream === undefined) return;
    if (type === 'data') stream.receive(payload);
    else if (type === 'end') stream.receiveEnd();
    else if (type === 'window') stream.receiveWindow(payload.readUInt32BE());
    else {
      this.#streams.delete(id);
      stream.receiveReset();
    }
  }

  #opened(id: number): void {
    if (this.#accept === undefined) throw brokenMux('only the host opens streams');
    if (id !== this.#next) throw brokenMux(`stream ${id} is opened where ${this.#next} comes next`);
    if (this.#streams.size >= streamsMax) throw brokenMux('too many streams at once');
    this.#next += 1;
    this.#accept(this.#add(id));
  }
}
