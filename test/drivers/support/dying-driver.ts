import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { boxOptionsSchema } from '../../../src/events/box-options.ts';
import { boxId } from '../../../src/kernel/ids.ts';

// A service that dies by kill -9 in the midst of a boot. Arguments: data directory, agent, mode, box id, generation, and
// the step after which it dies.
const [dataDir = '', agentPath = '', mode, id = '', generation = '', lastStep] = process.argv.slice(2);
const driver = await createProcessDriver({
  dataDir,
  agentPath,
  mode: mode as 'plain', // the test names one that works
  passed: (step) => {
    if (step === lastStep) process.kill(process.pid, 'SIGKILL');
  },
});
await driver.boot(
  { boxId: boxId(id), name: 'a-box', generation: Number(generation), options: boxOptionsSchema.parse({}) },
  new AbortController().signal,
);
