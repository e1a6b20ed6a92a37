import type { Box } from '../gen/boxledger/v1/box.ts';
import { BoxledgerError } from '../kernel/errors.ts';

/** The box of an answer that always has one. */
export const boxOf = (box: Box | undefined): Box => {
  if (box !== undefined) return box;
  throw new BoxledgerError('Internal', 'the server answered without the box', {
    help: 'Use a client and a server of the same version.',
  });
};
