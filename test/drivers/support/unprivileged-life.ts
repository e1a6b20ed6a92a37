import { statSync } from 'node:fs';
import { join } from 'node:path';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { settle } from '../../../src/drivers/supervised/box-state.ts';
import { layoutOf } from '../../../src/drivers/supervised/layout.ts';
import { freezeBox, unfreezeBox } from '../../../src/drivers/supervised/members.ts';
import { eventually } from '../../support/eventually.ts';
import { manifestInput } from './forged-archive.ts';
import { never, newBoxId, newExportId, newSnapshotId, specOf, unhurried } from './spec.ts';
import { askAgent } from './stand-in.ts';

// A box's life under a service that is an ordinary user: prints what was seen, as JSON. Arguments: data directory, agent,
// mode (empty: the best).
const [dataDir = '', agentPath = '', mode = ''] = process.argv.slice(2);
const driver = await createProcessDriver({
  dataDir,
  agentPath,
  mode: mode === '' ? undefined : (mode as 'plain'), // the test names one
});
const id = newBoxId();
const { process: main } = await driver.boot(specOf(id), never);
const ask = <Value>(expression: string) => askAgent<Value>(driver, id, expression);
const counted = () => statSync(join(dataDir, 'boxes', id, 'disk', 'count')).size;

await ask(
  'void setInterval(() => require("fs").appendFileSync(process.env.HOME + "/count", "."), 1) && new Promise((r) => setTimeout(r, 20))',
);
// As the agent does it: another session, and no more of its own environment than this.
const leaveBehind =
  'void require("child_process").spawn("sleep", ["1000"], { detached: true, env: { HOME: process.env.HOME } }).unref()';
await ask(leaveBehind);
const status = await ask<string>('require("fs").readFileSync("/proc/self/status", "utf8")');
const network = await ask<readonly string[]>('Object.keys(require("os").networkInterfaces())');
const seesDataDir = await ask<boolean>(`require("fs").existsSync(${JSON.stringify(dataDir)})`);
const usage = await driver.usage(id);

await driver.freeze(id, main);
const frozen = await driver.observe(id);
const before = counted();
await new Promise((resolve) => setTimeout(resolve, 300)); // time for it to count on, if it could
const countedWhileFrozen = counted() > before;
await driver.unfreeze(id, main);
await eventually('it to count on', () => counted() > before);
const thawed = await driver.observe(id);

// As a kill -9 in the midst of it leaves the box.
const up = await settle(id, layoutOf(dataDir).box(id));
if (up.kind !== 'up') throw new Error(up.kind);
const breakOff = () => {
  throw new Error('broken off');
};
await freezeBox(up.processes, breakOff).catch(() => undefined);
// A process that was sent SIGSTOP goes on until it is next looked at by its kernel.
const halfFrozen = await eventually('its outermost process to stop', async () => {
  const seen = await driver.observe(id);
  return seen.kind === 'running' && seen.frozen && seen;
});
await driver.freeze(id, main);
await unfreezeBox(up.processes, breakOff).catch(() => undefined);
const halfThawed = await driver.observe(id);
await driver.unfreeze(id, main);
const countedBefore = counted();
await eventually('it to count on again', () => counted() > countedBefore);

await driver.freeze(id, main);
await driver.kill(id);
const ended = await driver.observe(id);

await driver.boot(specOf(id, 2), never);
await ask(leaveBehind);
await ask('void setImmediate(() => process.exit(3))');
const exited = await eventually('its end', async () => {
  const found = await driver.observe(id);
  return found.kind === 'ended' && found;
});
const from = { boxId: id, snapshotId: newSnapshotId() };
const [clone, imported, out] = [newBoxId(), newBoxId(), newExportId()];
await driver.snapshotDisk(id, from.snapshotId, unhurried);
await driver.restoreDisk(id, from.snapshotId, unhurried);
await driver.cloneDisk(from, clone, unhurried);
await driver.exportDisk(from, out, manifestInput, unhurried);
await driver.importDisk(imported, await driver.openExport(out), unhurried);
const countOf = (box: string) => statSync(join(dataDir, 'boxes', box, 'disk', 'count')).size;
const copies = [clone, imported].map((box) => countOf(box) === countOf(id));

console.log(
  JSON.stringify({
    id,
    isolation: await driver.isolation(),
    ...{
      status,
      network,
      seesDataDir,
      usage,
      frozen,
      countedWhileFrozen,
      thawed,
      halfFrozen,
      halfThawed,
      ended,
      exited,
      copies,
    },
  }),
);
