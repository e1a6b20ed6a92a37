import { openSync } from 'node:fs';
import { BoxledgerError } from '../../kernel/errors.ts';
import { boxId as parseBoxId } from '../../kernel/ids.ts';
import type { Layout } from './layout.ts';

/** A unix socket's address holds 108 bytes on Linux, 104 on others, the final NUL included. */
const socketPathMaxBytes = process.platform === 'linux' ? 107 : 103;

/** Where sockets are reached below: the run directory, or, when its path is too long for that, a descriptor of it. */
export const socketRoot = (layout: Layout): string => {
  const longestBytes = Buffer.byteLength(layout.box(parseBoxId('bx_0000000000000000')).sockets[0] ?? '');
  if (longestBytes <= socketPathMaxBytes) return layout.run;
  if (process.platform === 'linux') return `/proc/self/fd/${openSync(layout.run, 'r')}`;
  throw new BoxledgerError(
    'InvalidArgument',
    `the data directory's path is too long for sockets: ${layout.run}`,
    { help: `Choose one that is ${longestBytes - socketPathMaxBytes} bytes shorter.` },
  );
};
