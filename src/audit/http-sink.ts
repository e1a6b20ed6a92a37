import { BoxledgerError } from '../kernel/errors.ts';
import { type CheckpointSink, checkpointLine } from './checkpoint-sink.ts';

const timeoutMs = 10_000;

/** POSTs each checkpoint to a URL. Any status from 200 to 299 means that it is kept; redirects are not followed. */
export const httpSink = (url: string): CheckpointSink => ({
  name: withoutSecrets(url),
  send: async (sequence, signed, signal) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': String(sequence) },
      body: checkpointLine(signed),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    if (!response.ok)
      throw new BoxledgerError('Unavailable', `the sink answered with status ${response.status}`);
  },
});

/** A name is logged and kept in the database: what lets in stays out of it. */
const withoutSecrets = (url: string): string => {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
};
