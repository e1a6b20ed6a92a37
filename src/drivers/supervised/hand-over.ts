import { mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { BootSpec } from '../driver.ts';
import { type BootContext, sizeOf } from './boot.ts';
import { type BootRecord, readBootRecord, writeBootRecord } from './boot-record.ts';
import { endBox, removeAttempts } from './box-state.ts';
import { makeCgroup } from './cgroup.ts';
import { ensureDisk } from './disk.ts';
import { isThere, removeTree, renameIfThere } from './files.ts';
import type { BoxLayout } from './layout.ts';

/**
 * What runs in one place becomes the box of another, which has no disk. By renames, the run's own directory last: before that
 * the box does not run, only a disk of it may be there that nothing was written to, and what runs is still found where it
 * was (`endWaiting`). The cgroup keeps its name.
 */
export const handOver = async (
  { directoryMode, overheadMib, passed }: Pick<BootContext, 'directoryMode' | 'overheadMib' | 'passed'>,
  { box: from, record: fromRecord }: { readonly box: BoxLayout; readonly record: BootRecord },
  to: BoxLayout,
  spec: BootSpec,
): Promise<BootRecord> => {
  await ensureDisk(to, directoryMode, (path) => rename(from.disk, path));
  passed('disk');
  const { generation, options } = spec;
  const record = { ...fromRecord, generation, size: sizeOf(spec) };
  await mkdir(to.run, { recursive: true, mode: directoryMode });
  await removeAttempts(to, [(await readBootRecord(to))?.nonce]);
  await writeBootRecord(to, record);
  passed('recorded');
  await makeCgroup(record.cgroup, { ...options, memoryMib: options.memoryMib + overheadMib });
  for (const socket of from.sockets) await renameIfThere(socket, join(to.run, basename(socket)));
  passed('spawned');
  await rename(from.attempt(record.nonce).directory, to.attempt(record.nonce).directory);
  passed('up');
  return record;
};

/** Ends what waits to be handed over, unless it has been, and clears it away. */
export const endWaiting = async (id: BootSpec['boxId'], box: BoxLayout): Promise<void> => {
  const record = await readBootRecord(box);
  if (record !== undefined && (await isThere(box.attempt(record.nonce).directory))) await endBox(id, box);
  for (const path of [box.run, box.box]) await removeTree(path);
};
