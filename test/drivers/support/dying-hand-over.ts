import { createQemuDriver } from '../../../src/drivers/qemu/qemu-driver.ts';
import { boxId } from '../../../src/kernel/ids.ts';
import { warmUp } from '../../../src/main/open-driver.ts';
import { never, newBoxId, specOf } from './spec.ts';

// A service that dies by kill -9 while a machine that stands ready becomes a box. Arguments: data directory with a template,
// box id, and the step after which it dies.
const [dataDir = '', id = '', lastStep] = process.argv.slice(2);
let dies = false;
let stands: () => void = () => undefined;
const stood = new Promise<void>((resolve) => {
  stands = resolve;
});
const driver = await createQemuDriver({
  ...{ dataDir, warmUp, readyMachines: 1, machineStands: stands },
  passed: (step) => {
    if (dies && step === lastStep) process.kill(process.pid, 'SIGKILL');
  },
});
// The first that starts has the next made ready.
const other = newBoxId();
await driver.boot(specOf(other), never);
await stood;
await driver.kill(other);
dies = true;
await driver.boot(specOf(boxId(id)), never);
