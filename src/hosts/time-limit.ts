import { BoxledgerError } from '../kernel/errors.ts';
import { timeoutMaxMs } from '../kernel/time.ts';

/**
 * Gives `work` at most `limitMs`, and never more than a timer holds. Past it, or when `signal` fires, this throws: `DeadlineExceeded`, or the reason of
 * `signal`. The signal that `work` got fires in any case, so that nothing it began goes on behind the answer's back.
 */
export const withinLimit = async <T>(
  what: string,
  limitMs: number,
  signal: AbortSignal,
  work: (limited: AbortSignal) => Promise<T>,
): Promise<T> => {
  signal.throwIfAborted();
  const abort = new AbortController();
  const broken = new Promise<never>((_resolve, reject) => {
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
  });
  const pass = () => abort.abort(signal.reason);
  signal.addEventListener('abort', pass, { once: true });
  const timer = setTimeout(
    () => abort.abort(new BoxledgerError('DeadlineExceeded', `${what}: not done within ${limitMs} ms`)),
    Math.min(limitMs, timeoutMaxMs),
  );
  try {
    return await Promise.race([broken, work(abort.signal)]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', pass);
    abort.abort(new BoxledgerError('Unavailable', `${what}: over`));
  }
};
