import { BoxledgerError } from '../../kernel/errors.ts';

/** Why a box archive is refused, and at which of its entries; undefined: before there was one. */
export const badArchive = (
  entry: string | undefined,
  problem: string,
  options: { readonly help?: string; readonly cause?: unknown } = {},
): BoxledgerError => {
  const shown = entry === undefined ? undefined : JSON.stringify(entry.slice(0, 1024));
  return new BoxledgerError(
    'InvalidArgument',
    `not a good box archive: ${shown === undefined ? '' : `${shown}: `}${problem}`,
    {
      help: 'No box was made of it. Fetch the archive again, or export the box again.',
      ...options,
      ...(entry === undefined ? {} : { details: { entry: entry.slice(0, 1024) } }),
    },
  );
};

/** A hard link to what is not there, not a file, or not of the archive at all. */
export const strangeTarget = ({
  path,
  target,
}: {
  readonly path: string;
  readonly target: string;
}): BoxledgerError =>
  badArchive(path, `it is another name of ${JSON.stringify(target)}, which is no file that came before`);
