import { limits } from '../kernel/limits.ts';

/** `data` in pieces that fit into one message, without copying; none when it is empty. */
export function* chunksOf(data: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < data.length; at += limits.dataChunkBytes)
    yield Buffer.from(data.buffer, data.byteOffset + at, Math.min(limits.dataChunkBytes, data.length - at));
}
