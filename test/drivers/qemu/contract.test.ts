import { test } from 'vitest';
import { driverContract } from '../../contract/driver.ts';
import { driverDisksContract } from '../../contract/driver-disks.ts';
import { openQemuHarness } from './support/qemu-harness.ts';
import { problemOfMachines } from './support/test-image.ts';

const problem = await problemOfMachines();
if (problem === undefined) {
  driverContract('the qemu driver', openQemuHarness);
  driverDisksContract('the qemu driver', openQemuHarness);
} else test.skip(`machines: ${problem}`, () => undefined);
