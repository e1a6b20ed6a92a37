import { openSync } from 'node:fs';
import { join } from 'node:path';
import { BoxledgerError } from '../../kernel/errors.ts';
import { boxId as parseBoxId } from '../../kernel/ids.ts';
import type { Layout } from './layout.ts';

/** Refuses a layout in which a program that has no other way to a run's own directory could make no sockets there. */
export const refuseLongPaths = (layout: Layout): void => {
  const { guest } = layout.box(someBox).attempt('0'.repeat(16));
  refuseAbove(join(guest, 'agent.sock'), layout);
};

/** A unix socket's address holds 108 bytes on Linux, 104 on others, the final NUL included. */
const socketPathMaxBytes = process.platform === 'linux' ? 107 : 103;

/** Where sockets are reached below: the run directory, or, when its path is too long for that, a descriptor of it. */
export const socketRoot = (layout: Layout): string => {
  const longest = layout.box(someBox).sockets[0] ?? '';
  if (process.platform !== 'linux') refuseAbove(longest, layout);
  return Buffer.byteLength(longest) <= socketPathMaxBytes
    ? layout.run
    : `/proc/self/fd/${openSync(layout.run, 'r')}`;
};

const someBox = parseBoxId('bx_0000000000000000');

const refuseAbove = (path: string, layout: Layout): void => {
  const excessBytes = Buffer.byteLength(path) - socketPathMaxBytes;
  if (excessBytes <= 0) return;
  throw new BoxledgerError(
    'InvalidArgument',
    `the data directory's path is too long for sockets: ${layout.run}`,
    { help: `Choose one that is ${excessBytes} bytes shorter.` },
  );
};
