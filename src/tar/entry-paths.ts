import { BoxledgerError } from '../kernel/errors.ts';
import { limits } from '../kernel/limits.ts';

/**
 * The parts of an entry's path below the destination; none for the destination itself. Throws `InvalidArgument` for
 * every path that could lead out of it.
 */
export const partsOfEntry = (path: string): readonly string[] => {
  if (path.startsWith('/')) throw refusedEntry(path, 'its path is absolute');
  if (path.includes('\0')) throw refusedEntry(path, 'its path contains NUL');
  if (path.includes('\uFFFD')) throw refusedEntry(path, 'its path is not UTF-8');
  if (Buffer.byteLength(path) > limits.pathMaxBytes) throw refusedEntry(path, 'its path is too long');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refusedEntry(path, 'its path contains ".."');
  return parts;
};

/**
 * Checks that a symbolic link which lies `depth` directories below what it may lead to stays inside. `..` may only lead
 * the target: it then goes up from a real directory, while after a name it would go up from wherever another link leads.
 */
export const checkSymlink = (path: string, depth: number, target: string): void => {
  if (target === '' || target.includes('\0') || target.includes('\uFFFD'))
    throw refusedEntry(path, 'its target is not a path');
  if (target.startsWith('/')) throw refusedEntry(path, 'it is a link to an absolute path');
  const steps = target.split('/').filter((step) => step !== '' && step !== '.');
  const ups = steps.findIndex((step) => step !== '..');
  const leading = ups === -1 ? steps.length : ups;
  if (leading > depth) throw refusedEntry(path, 'it is a link that leads out of the destination');
  if (steps.slice(leading).includes('..'))
    throw refusedEntry(path, 'it is a link with ".." after a name, which may lead out of the destination');
};

export const refusedEntry = (path: string, problem: string): BoxledgerError =>
  new BoxledgerError(
    'InvalidArgument',
    `the archive's entry ${JSON.stringify(path)} is refused: ${problem}`,
    {
      faults: [{ field: 'tar', problem }],
      help: 'Nothing was unpacked. Make the archive without this entry; where it is a link, with what it leads to.',
    },
  );
