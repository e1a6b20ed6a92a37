import type { Box } from '../gen/boxledger/v1/box.ts';
import { boxOf } from './box-of.ts';
import {
  type CallOptions,
  type ChangeOptions,
  type Channel,
  callUnary,
  mutationOf,
  type Send,
} from './channel.ts';

export interface WaitableChange extends ChangeOptions {
  /** Answer only when the change has come about or has failed. Default true. */
  readonly wait?: boolean | undefined;
}

/** What boxes are made to do. */
export interface ChangeClient {
  start(box: string, options?: WaitableChange): Promise<Box>;
  /** `guestTimeoutMs`: how long the guest has to end by itself. */
  stop(
    box: string,
    options?: WaitableChange & { readonly guestTimeoutMs?: number | undefined },
  ): Promise<Box>;
  /** Stops a box that runs, then starts it; of any other, a start. */
  restart(
    box: string,
    options?: WaitableChange & { readonly guestTimeoutMs?: number | undefined },
  ): Promise<Box>;
  rename(box: string, name: string, options?: ChangeOptions): Promise<Box>;
  remove(box: string, options?: WaitableChange & { readonly force?: boolean | undefined }): Promise<Box>;
  /** `maxDurationMs`: the box is resumed by itself after so long. `toDisk`: its memory is kept on disk meanwhile. */
  pause(
    box: string,
    options?: WaitableChange & {
      readonly maxDurationMs?: number | undefined;
      readonly toDisk?: boolean | undefined;
    },
  ): Promise<Box>;
  resume(box: string, options?: WaitableChange): Promise<Box>;
}

export const openChanges = (channel: Channel): ChangeClient => {
  const { boxes } = channel;
  const call = async (to: CallOptions, send: Send<{ box: Box | undefined }>) =>
    boxOf((await callUnary(channel, to, send)).box);
  const change = (box: string, { wait = true, ...rest }: WaitableChange) => ({
    mutation: mutationOf(rest),
    box,
    wait,
  });
  return {
    start: (box, to = {}) => {
      const request = change(box, to);
      return call(to, (...rest) => boxes.start(request, ...rest));
    },
    stop: (box, to = {}) => {
      const request = { ...change(box, to), timeoutMs: to.guestTimeoutMs };
      return call(to, (...rest) => boxes.stop(request, ...rest));
    },
    remove: (box, to = {}) => {
      const request = { ...change(box, to), force: to.force ?? false };
      return call(to, (...rest) => boxes.remove(request, ...rest));
    },
    restart: (box, to = {}) => {
      const request = { ...change(box, to), timeoutMs: to.guestTimeoutMs };
      return call(to, (...rest) => boxes.restart(request, ...rest));
    },
    rename: (box, name, to = {}) => {
      const request = { mutation: mutationOf(to), box, name };
      return call(to, (...rest) => boxes.rename(request, ...rest));
    },
    pause: (box, { maxDurationMs, toDisk = false, ...to } = {}) => {
      const request = {
        ...change(box, to),
        toDisk,
        maxDurationMs: maxDurationMs === undefined ? undefined : BigInt(Math.round(maxDurationMs)),
      };
      return call(to, (...rest) => boxes.pause(request, ...rest));
    },
    resume: (box, to = {}) => {
      const request = change(box, to);
      return call(to, (...rest) => boxes.resume(request, ...rest));
    },
  };
};
