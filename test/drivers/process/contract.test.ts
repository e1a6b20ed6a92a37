import { driverContract } from '../../contract/driver.ts';
import { driverDisksContract } from '../../contract/driver-disks.ts';
import { openProcessHarness, workingModes } from '../support/process-harness.ts';

for (const mode of await workingModes())
  driverContract(`the process driver by ${mode}`, () => openProcessHarness(mode));

// A disk is the same however boxes are kept apart.
driverDisksContract('the process driver', () => openProcessHarness(undefined));
