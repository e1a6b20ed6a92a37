import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import type { ExecInfo } from '../sdk/execs.ts';
import type { Session } from './session.ts';

/**
 * The exec of a box that is meant: by its id or the beginning of that, with or without `ex_`; undefined: the only one that
 * runs. Throws `NotFound`, or `InvalidArgument` naming those that it may be.
 */
export const execOfBox = async (
  { client, signal }: Session,
  box: string,
  reference: string | undefined,
): Promise<ExecInfo> => {
  const prefix = reference === undefined || reference.startsWith('ex_') ? reference : `ex_${reference}`;
  const found: ExecInfo[] = [];
  for await (const exec of client.execs.list(box, { signal, includeEnded: prefix !== undefined }))
    if (prefix === undefined || exec.execId.startsWith(prefix)) found.push(exec);
  const [first] = found;
  if (first === undefined)
    throw new BoxledgerError(
      'NotFound',
      reference === undefined ? `no program runs in ${box}` : `box ${box} has no exec ${reference}`,
      { help: 'See `boxledger execs -a`.' },
    );
  if (found.length === 1) return first;
  const problem = `may be ${found
    .slice(0, 5)
    .map(({ execId }) => execId)
    .join(', ')}${found.length > 5 ? ', …' : ''}`;
  throw BoxledgerError.fromRefusal(invalidArgument([{ field: 'exec', problem }]));
};
