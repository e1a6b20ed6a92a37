import type { Duplex } from 'node:stream';
import { brokenMux } from './frames.ts';

/*
 * A guest's port outlives the connections to it, and may hold bytes of an earlier one in either direction. So a
 * connection begins with a greeting, `magic nonce`, which the guest gives back: what comes before it is of earlier ones.
 */
export const magic = Buffer.from('boxledger guest\n');
export const nonceBytes = 16;
export const greetingBytes = magic.length + nonceBytes;
/** More than the buffers between the two can hold; a guest that sends more is none of ours. */
const staleMaxBytes = 4 * 1024 * 1024;

/** The host's side: resolves once the guest has answered, with what follows put back. */
export const greet = (carrier: Duplex, nonce: Uint8Array, signal: AbortSignal): Promise<void> => {
  const greeting = Buffer.concat([magic, nonce]);
  let [kept, stale] = [Buffer.alloc(0), 0];
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      carrier.off('data', look).off('close', gone);
      signal.removeEventListener('abort', aborted);
      settled();
    };
    const gone = () => settle(() => reject(brokenMux('the connection was closed before its greeting')));
    const aborted = () => settle(() => reject(signal.reason));
    const look = (chunk: Buffer) => {
      const bytes = Buffer.concat([kept, chunk]);
      const at = bytes.indexOf(greeting);
      if (at >= 0) {
        carrier.pause();
        const rest = bytes.subarray(at + greeting.length);
        return settle(() => {
          if (rest.length > 0) carrier.unshift(rest);
          resolve();
        });
      }
      stale += chunk.length;
      if (stale > staleMaxBytes)
        return settle(() => reject(brokenMux('it answers everything but a greeting')));
      kept = Buffer.from(bytes.subarray(-(greeting.length - 1)));
    };
    carrier.on('data', look).once('close', gone);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    else carrier.write(greeting);
  });
};

/** The guest's side: finds a greeting in what comes; gives it, to be given back, and what follows it. */
export class GreetingReader {
  #kept: Buffer = Buffer.alloc(0);

  read(chunk: Buffer): { readonly greeting: Buffer; readonly rest: Buffer } | undefined {
    const bytes = Buffer.concat([this.#kept, chunk]);
    // The last: each greeting takes back what came before it.
    const at = bytes.lastIndexOf(magic);
    if (at >= 0 && bytes.length >= at + greetingBytes)
      return {
        greeting: Buffer.from(bytes.subarray(at, at + greetingBytes)),
        rest: bytes.subarray(at + greetingBytes),
      };
    this.#kept = Buffer.from(at >= 0 ? bytes.subarray(at) : bytes.subarray(-(magic.length - 1)));
    return undefined;
  }
}
