import { chmod, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '../supervised/files.ts';
import { diskBytes } from './disk-size.ts';
import { flushFile } from './layered-disk.ts';
import { runTool } from './tools.ts';

/** An empty file system, made once for a data directory: the lowest layer of every disk. */
export const blankDisk = async (dataDir: string): Promise<string> => {
  const directory = join(dataDir, 'images');
  const blank = join(directory, `blank-${diskBytes / 1024 ** 3}gib.qcow2`);
  if (await isThere(blank)) return blank;
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const [raw, made] = [`${blank}.raw`, `${blank}.new`];
  await writeFile(raw, '');
  await truncate(raw, diskBytes);
  const options = ['-m', '0', '-N', '524288', '-E', 'lazy_itable_init=1,lazy_journal_init=1'];
  await runTool('mkfs.ext4', ['-q', '-F', '-L', 'box', ...options, raw]);
  await runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, made]);
  await flushFile(made);
  await rm(raw);
  await chmod(made, 0o444);
  await rename(made, blank);
  return blank;
};
