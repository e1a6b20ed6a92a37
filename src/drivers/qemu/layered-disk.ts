import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BoxledgerError } from '../../kernel/errors.ts';
import { readIfThere, writeWhole } from '../../os/files.ts';
import type { Owner } from '../supervised/disk.ts';
import { jsonOf } from '../supervised/record-file.ts';
import { diskBytes } from './disk-size.ts';
import { lookAtQcow2 } from './qcow2-head.ts';
import { runTool } from './tools.ts';

/*
 * A machine's disk is a directory of qcow2 files, each but the lowest a copy-on-write layer above the one before:
 *
 *     disk.json      which files those are, and the image below all of them
 *     HEX.qcow2      the active one, which the machine writes to, and layers, which never change again
 *
 * A copy of a disk has the same layers, by hard links, so there is nothing to count or to collect; each file names the one
 * below it by its name alone. A layer comes about when a disk is kept: what was active becomes the topmost layer.
 */
const nameSchema = z.string().regex(/^[0-9a-f]{16}\.qcow2$/);
const diskRecordSchema = z.strictObject({
  format: z.literal(1),
  image: z.string().regex(/^sha256-[0-9a-f]{64}$/),
  /** Lowest first. */
  layers: z.array(nameSchema),
  active: nameSchema,
});
export type DiskRecord = z.infer<typeof diskRecordSchema>;

/** More files below one another slow a machine's start down: they are made one when it is next started. */
const layersMax = 8;

/** A machine that is kept again and again as it runs has no start to make them one. */
const layersOfRunningMax = 64;

export const readDisk = async (disk: string): Promise<DiskRecord> => {
  const text = (await readIfThere(recordOf(disk))) ?? '';
  const parsed = diskRecordSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new BoxledgerError('Internal', `${disk} is not a disk that this version knows`, {
    help: 'It was damaged, made by a newer version, or by another driver on the same data directory.',
    cause: parsed.error,
  });
};

const recordOf = (disk: string) => join(disk, 'disk.json');
const writeDisk = (disk: string, record: DiskRecord) =>
  writeWhole(recordOf(disk), `${JSON.stringify(record)}\n`, { flush: true });
const newName = () => `${randomBytes(8).toString('hex')}.qcow2`;

/** Undefined where there is no disk of a machine. */
export const imageOfDisk = async (disk: string): Promise<string | undefined> => {
  const text = await readIfThere(recordOf(disk)).catch(() => undefined);
  return text === undefined ? undefined : diskRecordSchema.safeParse(jsonOf(text)).data?.image;
};

/** A disk whose lowest layer is the given file, at a path at which nothing is. */
export const makeDisk = async (disk: string, image: string, blank: string, owner: Owner): Promise<void> => {
  await mkdir(disk, { mode: 0o755 });
  const layer = newName();
  await linkOrCopy(blank, join(disk, layer));
  await writeDisk(disk, await withActive(disk, { format: 1, image, layers: [layer] }, owner));
};

/** The same disk once more: `from` never changes. */
export const copyDisk = async (from: string, to: string, owner: Owner): Promise<void> => {
  const { active, ...record } = await readDisk(from);
  await mkdir(to, { mode: 0o755 });
  for (const layer of record.layers) await linkOrCopy(join(from, layer), join(to, layer));
  await copyFile(join(from, active), join(to, active));
  await give(join(to, active), owner);
  await writeDisk(to, { ...record, active });
};

/**
 * What the disk has now, as a disk at `to` that never changes: the active file becomes a layer of both. `switchTo` lets a
 * machine that runs write to the new active one from now on. It is written down before that: whoever comes after a death
 * in between finds a disk that is as it was, and a machine that still writes below it.
 */
export const keepDisk = async (
  disk: string,
  to: string,
  owner: Owner,
  switchTo: (active: string) => Promise<void>,
): Promise<void> => {
  const before = await readDisk(disk);
  if (before.layers.length >= layersOfRunningMax)
    throw new BoxledgerError('InvalidState', `the disk has ${before.layers.length} layers`, {
      help: 'Stop the box and start it again, which makes them one.',
    });
  await switchTo(before.active); // where an earlier attempt died before it did
  const layers = [...before.layers, before.active];
  const record = await withActive(disk, { ...before, layers }, owner);
  const empty = await readFile(join(disk, record.active));
  await writeDisk(disk, record);
  await switchTo(record.active);
  await mkdir(to, { mode: 0o755 });
  for (const layer of layers) {
    await seal(join(disk, layer));
    await linkOrCopy(join(disk, layer), join(to, layer));
  }
  await writeFile(join(to, record.active), empty, { mode: 0o600 });
  await give(join(to, record.active), owner);
  await writeDisk(to, record);
};

/** Before a start: files that nothing names go, and too many layers become one. The machine does not run. */
export const settleDisk = async (disk: string, owner: Owner): Promise<DiskRecord> => {
  const record = await readDisk(disk);
  const settled = record.layers.length > layersMax ? await flatten(disk, record, owner) : record;
  const named = ['disk.json', settled.active, ...settled.layers];
  for (const name of await readdir(disk)) if (!named.includes(name)) await rm(join(disk, name));
  return settled;
};

const flatten = async (disk: string, record: DiskRecord, owner: Owner): Promise<DiskRecord> => {
  const active = newName();
  await exportDisk(disk, join(disk, active));
  await give(join(disk, active), owner);
  const flat = { ...record, layers: [], active };
  await writeDisk(disk, flat);
  return flat;
};

/** All of the disk as one file that stands by itself. */
export const exportDisk = async (disk: string, target: string, signal?: AbortSignal): Promise<void> => {
  const { active, layers } = await readDisk(disk);
  await sizeOf(disk, [...layers, active]);
  const formats = ['-f', 'qcow2', '-O', 'qcow2'];
  await runTool('qemu-img', ['convert', ...formats, join(disk, active), target], { signal });
  await flushFile(target);
};

/** Bytes that the disk's files take, those that it shares included. */
export const bytesOf = async (disk: string): Promise<number> => {
  const { active, layers } = await readDisk(disk);
  let bytes = 0;
  for (const name of [...layers, active]) bytes += (await stat(join(disk, name))).blocks * 512;
  return bytes;
};

/** A disk of one file that is there already. */
export const adoptFile = async (disk: string, file: string, image: string, owner: Owner): Promise<void> => {
  const active = newName();
  await rename(join(disk, file), join(disk, active));
  await give(join(disk, active), owner);
  await chmod(disk, 0o755);
  // Like any other disk: its machine writes to the active file, and makes no names here.
  if (owner !== undefined) await chown(disk, 0, 0);
  await writeDisk(disk, { format: 1, image, layers: [], active });
};

/** An empty active file above the topmost layer. */
const withActive = async (
  disk: string,
  record: Omit<DiskRecord, 'active'>,
  owner: Owner,
): Promise<DiskRecord> => {
  const active = newName();
  const bytes = await sizeOf(disk, record.layers);
  // Unread: what stands below is told, and not asked of a file that a machine may be writing to.
  const below = ['-u', '-b', record.layers.at(-1) ?? '', '-F', 'qcow2'];
  const options = ['-q', '-f', 'qcow2', ...below, active, String(bytes)];
  await runTool('qemu-img', ['create', ...options], { cwd: disk });
  await give(join(disk, active), owner);
  return { ...record, active };
};

/**
 * Of the disk in the topmost of the files, lowest first. Machines write to them, so their heads are looked at before any
 * program of the host's opens them: one could name any file of the host.
 */
const sizeOf = async (disk: string, files: readonly string[]): Promise<number> => {
  let size = 0;
  for (const [index, name] of files.entries()) {
    const found = await lookAtQcow2(join(disk, name), {
      maxBytes: diskBytes,
      below: files[index - 1] ?? null,
    });
    if ('problem' in found)
      throw new BoxledgerError('Internal', `${join(disk, name)} is not as it was made: ${found.problem}`, {
        help: 'Restore a snapshot of the box, or clone another.',
      });
    size = found.bytes;
  }
  return size;
};

const give = async (path: string, owner: Owner): Promise<void> => {
  await chmod(path, 0o600);
  if (owner !== undefined) await chown(path, owner, owner);
};

/** Nobody writes to it any more; where the service is root, no machine could. */
const seal = async (path: string): Promise<void> => {
  await chmod(path, 0o444);
  if (process.getuid?.() === 0) await chown(path, 0, 0);
};

/** qemu-img leaves that to the system. */
export const flushFile = async (path: string): Promise<void> => {
  const file = await open(path, 'r+');
  await file.sync().finally(() => file.close());
};

const linkOrCopy = async (from: string, to: string): Promise<void> => {
  await link(from, to).catch(() => copyFile(from, to));
};
