import { driverContract } from '../../contract/driver.ts';
import { driverDisksContract } from '../../contract/driver-disks.ts';
import { openQemuHarness } from './support/qemu-harness.ts';
import { describeMachines } from './support/test-image.ts';

await describeMachines('machines', () => {
  driverContract('the qemu driver', openQemuHarness);
  driverDisksContract('the qemu driver', openQemuHarness);
});
