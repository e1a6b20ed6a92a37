import { availableParallelism, totalmem } from 'node:os';
import { BoxledgerError, type Fault, invalidArgument } from '../../kernel/errors.ts';
import type { BootSpec } from '../driver.ts';

/** Every option at once that asks for more than this machine has. */
export const refuseMoreThanTheHostHas = ({ options }: BootSpec): void => {
  const cpus = availableParallelism();
  const memoryMib = Math.floor(totalmem() / 1024 / 1024);
  const faults: Fault[] = [];
  if (options.cpus > cpus) faults.push({ field: 'options.cpus', problem: `the host has ${cpus}` });
  if (options.memoryMib > memoryMib)
    faults.push({ field: 'options.memoryMib', problem: `the host has ${memoryMib}` });
  if (faults.length > 0) throw BoxledgerError.fromRefusal(invalidArgument(faults));
};
