import { driverContract } from '../../contract/driver.ts';
import { openProcessHarness, workingModes } from '../support/process-harness.ts';

for (const mode of await workingModes())
  driverContract(`the process driver by ${mode}`, () => openProcessHarness(mode));
