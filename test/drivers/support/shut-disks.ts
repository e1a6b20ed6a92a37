import { chmod, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createProcessDriver } from '../../../src/drivers/process/process-driver.ts';
import { layoutOf } from '../../../src/drivers/supervised/layout.ts';
import type { BoxId } from '../../../src/kernel/ids.ts';
import { chunksOf, forge, manifestInput } from './forged-archive.ts';
import { never, newBoxId, newExportId, newSnapshotId, specOf, unhurried } from './spec.ts';

// Disks whose root was shut to its own user, under a service that is an ordinary user: prints what was seen, as JSON.
// Arguments: data directory, agent.
const [dataDir = '', agentPath = ''] = process.argv.slice(2);
const open = () => createProcessDriver({ dataDir, agentPath, mode: 'plain' });
const driver = await open();
const layout = layoutOf(dataDir);
const modeOf = async (id: BoxId) => (await stat(layout.box(id).disk)).mode & 0o777;

const archive = await forge({ entries: [{ path: 'disk', kind: 'directory', mode: 0 }] });
const shut = newBoxId();
await driver.importDisk(shut, chunksOf(archive), unhurried);
const shutMode = await modeOf(shut);
await driver.boot(specOf(shut), never);
await driver.kill(shut);

const id = newBoxId();
await driver.importDisk(id, chunksOf(await forge()), unhurried);
await chmod(layout.box(id).disk, 0o755);
await mkdir(join(layout.box(id).disk, 'inner'));
await chmod(join(layout.box(id).disk, 'inner'), 0o555);
await chmod(layout.box(id).disk, 0o555);
const from = { boxId: id, snapshotId: newSnapshotId() };
const [clone, imported, out] = [newBoxId(), newBoxId(), newExportId()];
await driver.snapshotDisk(id, from.snapshotId, unhurried);
await driver.restoreDisk(id, from.snapshotId, unhurried);
await driver.cloneDisk(from, clone, unhurried);
await driver.exportDisk(from, out, manifestInput, unhurried);
await driver.importDisk(imported, await driver.openExport(out), unhurried);
const modes = await Promise.all([id, clone, imported].map(modeOf));

// As a kill -9 in the midst of a restore leaves it.
const { replacedDisk } = layout.box(clone);
await mkdir(replacedDisk);
await writeFile(join(replacedDisk, 'file'), '');
await chmod(replacedDisk, 0o555);
const next = await open();
const leftAfterStart = await readdir(layout.box(clone).box);

for (const box of [shut, id, clone, imported]) await next.removeDisk(box);
console.log(JSON.stringify({ shutMode, modes, leftAfterStart, left: await next.list() }));
