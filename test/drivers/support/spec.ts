import { randomBytes } from 'node:crypto';
import type { BootSpec } from '../../../src/drivers/driver.ts';
import { boxOptionsSchema } from '../../../src/events/box-options.ts';
import { type BoxId, boxId } from '../../../src/kernel/ids.ts';

/** Test files run side by side on one machine: each box has an id of its own. */
export const newBoxId = (): BoxId => boxId(`bx_${randomBytes(8).toString('hex')}`);

export const specOf = (
  id: BoxId,
  generation = 1,
  options: Readonly<Record<string, unknown>> = {},
): BootSpec => ({ boxId: id, name: 'a-box', generation, options: boxOptionsSchema.parse(options) });

export const never = new AbortController().signal;
