import { BoxledgerError } from '../kernel/errors.ts';

/**
 * One byte stream as many, each with its own flow control. Numbers are big-endian:
 *
 *     frame   type (1 byte) | stream (4) | length of the payload (4) | payload
 *     OPEN    a stream begins; only the host opens any, and numbers them upwards from 1
 *     DATA    bytes of the stream, at most `dataMaxBytes`
 *     END     no more DATA comes from this side
 *     RESET   the stream is over, both ways
 *     WINDOW  payload of 4 bytes: so much more DATA may be sent; each side begins with `windowBytes`. A frame of DATA takes
 *             its bytes and `frameCost`, so that many small ones are no way to make a receiver hold more
 */
export const frameTypes = { open: 1, data: 2, end: 3, reset: 4, window: 5 } as const;
export type FrameType = keyof typeof frameTypes;

export interface Frame {
  readonly type: FrameType;
  readonly stream: number;
  readonly payload: Buffer;
}

export const dataMaxBytes = 32 * 1024;
export const windowBytes = 256 * 1024;
export const frameCost = 64;
const headBytes = 9;
const payloadMaxBytes: Readonly<Record<FrameType, number>> = {
  open: 0,
  data: dataMaxBytes,
  end: 0,
  reset: 0,
  window: 4,
};
const typeOf = new Map<number, FrameType>(
  Object.entries(frameTypes).map(([name, code]) => [Number(code), name as FrameType]),
);

export const encodeFrame = (type: FrameType, stream: number, payload: Uint8Array = noBytes): Buffer => {
  const frame = Buffer.allocUnsafe(headBytes + payload.length);
  frame.writeUInt8(frameTypes[type], 0);
  frame.writeUInt32BE(stream, 1);
  frame.writeUInt32BE(payload.length, 5);
  frame.set(payload, headBytes);
  return frame;
};
const noBytes = new Uint8Array();

export const encodeWindow = (stream: number, bytes: number): Buffer => {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(bytes);
  return encodeFrame('window', stream, payload);
};

/** Takes bytes as they come, and gives the frames that are whole. Keeps less than one frame. Throws at what is no frame. */
export class FrameReader {
  #kept: Buffer = Buffer.alloc(0);

  *read(chunk: Buffer): Generator<Frame> {
    let bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    for (;;) {
      const frame = frameAt(bytes);
      if (frame === undefined) break;
      bytes = bytes.subarray(headBytes + frame.payload.length);
      yield frame;
    }
    this.#kept = Buffer.from(bytes); // a copy: the rest of a chunk is not held for its sake
  }
}

const frameAt = (bytes: Buffer): Frame | undefined => {
  const [code] = bytes;
  if (code === undefined) return undefined;
  const type = typeOf.get(code);
  // Before the rest of it has come, if it ever does: an agent that comes up says by one byte that another has died.
  if (type === undefined) throw brokenMux(`no frame has type ${code}`);
  if (bytes.length < headBytes) return undefined;
  const [stream, length] = [bytes.readUInt32BE(1), bytes.readUInt32BE(5)];
  if (length > payloadMaxBytes[type] || (type === 'window' && length !== 4))
    throw brokenMux(`a frame of type ${type} has ${length} bytes`);
  if (bytes.length < headBytes + length) return undefined;
  return { type, stream, payload: bytes.subarray(headBytes, headBytes + length) };
};

export const brokenMux = (how: string): BoxledgerError =>
  new BoxledgerError('Unavailable', `the other side breaks the protocol of the guest's port: ${how}`);
