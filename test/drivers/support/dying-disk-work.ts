import { createReadStream } from 'node:fs';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { boxId, exportId, snapshotId } from '../../../src/kernel/ids.ts';
import { manifestInput } from './forged-archive.ts';

// A service that dies by kill -9 in the midst of work on a disk. Arguments: data directory, agent, the step after which it
// dies, and what the work is about: a box, one of its snapshots, another box, an export, and a box archive's path.
const [dataDir = '', agentPath = '', lastStep = '', box = '', kept = '', other = '', out = '', archive = ''] =
  process.argv.slice(2);
const driver = await createProcessDriver({
  dataDir,
  agentPath,
  passed: (step) => {
    if (step === lastStep) process.kill(process.pid, 'SIGKILL');
  },
});
const work = { signal: new AbortController().signal };
const from = { boxId: boxId(box), snapshotId: snapshotId(kept) };
const works: Readonly<Record<string, () => Promise<unknown>>> = {
  snapshot: () => driver.snapshotDisk(from.boxId, from.snapshotId, work),
  snapshotRemoval: () => driver.removeSnapshot(from.boxId, from.snapshotId),
  restore: () => driver.restoreDisk(from.boxId, from.snapshotId, work),
  clone: () => driver.cloneDisk(from, boxId(other), work),
  export: () => driver.exportDisk(from, exportId(out), manifestInput, work),
  import: () => driver.importDisk(boxId(other), createReadStream(archive), work),
};
await works[lastStep.split('.')[0] ?? '']?.();
