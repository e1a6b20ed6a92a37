import { posix } from 'node:path';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';

/** A path of the box as a request names it, made absolute: relative ones begin at the box's home. */
export const resolveInBox = (path: string, home: string): string => {
  const problem =
    path === ''
      ? 'must not be empty'
      : path.includes('\0')
        ? 'must not contain NUL'
        : Buffer.byteLength(path) > limits.pathMaxBytes
          ? `must be at most ${limits.pathMaxBytes} bytes`
          : undefined;
  if (problem !== undefined) throw BoxledgerError.fromRefusal(invalidArgument([{ field: 'path', problem }]));
  return posix.resolve(home, path);
};
