/** `promise`, or the signal's reason if that comes first. Leaves nothing at the signal, however often it is called with one. */
export const unlessAborted = <Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> =>
  new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    const settled = () => signal.removeEventListener('abort', aborted);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    promise.finally(settled).then(resolve, reject);
  });
