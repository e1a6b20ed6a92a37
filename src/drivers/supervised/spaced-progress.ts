import type { OnProgress } from '../disks.ts';

const spanMs = 1000;

/** As `onProgress`, but what comes sooner after the last than it is worth telling is left out. */
export const spaced = (onProgress: OnProgress | undefined): OnProgress => {
  let toldAt = performance.now();
  return (done) => {
    if (performance.now() - toldAt < spanMs) return;
    toldAt = performance.now();
    onProgress?.(done);
  };
};
