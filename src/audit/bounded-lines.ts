import { BoxledgerError } from '../kernel/errors.ts';
import { exportBytes } from './export-bytes.ts';

/** No event is larger; a line that is has not been written by us. */
const lineMaxBytes = 8 * 1024 * 1024;

/** The lines of a file, which may be compressed, some at a time, without ever holding more than one line and one chunk. UTF-8, faults replaced. */
export async function* boundedLines(
  file: string,
  onRead: (bytes: number) => void,
): AsyncGenerator<readonly string[]> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let number = 0;
  try {
    for await (const chunk of exportBytes(file, onRead)) {
      const lines: string[] = [];
      let start = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        const line = chunk.subarray(start, end);
        lines.push(restBytes === 0 ? line.toString() : Buffer.concat([...rest, line]).toString());
        [rest, restBytes, start] = [[], 0, end + 1];
      }
      number += lines.length;
      yield lines;
      if (start < chunk.length) {
        rest.push(chunk.subarray(start));
        restBytes += chunk.length - start;
      }
      if (restBytes > lineMaxBytes) throw tooLong(file, number + 1);
    }
  } catch (error) {
    throw error instanceof BoxledgerError ? error : unreadable(file, error);
  }
  if (restBytes > 0) yield [Buffer.concat(rest).toString()];
}

const tooLong = (file: string, line: number) =>
  new BoxledgerError('InvalidArgument', `${file}, line ${line}: is longer than ${lineMaxBytes} bytes`, {
    help: 'This is no export of boxledger.',
  });

export const unreadable = (file: string, cause: unknown) =>
  new BoxledgerError('InvalidArgument', `${file} cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
    cause,
  });
