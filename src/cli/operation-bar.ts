import { byteText } from './byte-text.ts';
import { ProgressBar } from './progress-bar.ts';
import type { Session } from './session.ts';

type OnProgress = (bytes: number, totalBytes?: number) => void;

/** Shows on a terminal how far the work is, as long as it lasts. */
export const withBar = async <Result>(
  { io, json }: Pick<Session, 'io' | 'json'>,
  work: (onProgress: OnProgress) => Promise<Result>,
): Promise<Result> => {
  const bar = new ProgressBar(io.stderr, byteText, !json);
  try {
    return await work((bytes, totalBytes) => bar.update(totalBytes && bytes / totalBytes, bytes));
  } finally {
    bar.end();
  }
};
