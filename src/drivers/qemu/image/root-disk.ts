import { createHash } from 'node:crypto';
import { lstat, lutimes, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxledgerError } from '../../../kernel/errors.ts';
import { runTool } from '../tools.ts';
import { pathsBelow } from './root-tree.ts';

const blockBytes = 4096;
const mib = 1 << 20;

/**
 * A file system with the tree, to be read only. The same tree makes the same bytes, wherever and by whomever: names in it
 * come in order, times are those of the year 1970, its own ids come from the paths and sizes, and where it was not made by
 * root, everything is root's all the same. `script`: a path for the commands that set them.
 */
export const makeRootDisk = async (tree: string, target: string, script: string): Promise<void> => {
  const paths = await pathsBelow(tree);
  const digest = createHash('sha256');
  let bytes = 0;
  for (const path of paths) {
    const found = await lstat(join(tree, path));
    const size = found.isDirectory() ? 0 : found.size; // of a directory, its own file system's affair
    const { mode } = found;
    digest.update(`${path}\0${mode}\0${size}\n`);
    bytes += Math.ceil(size / blockBytes) * blockBytes + blockBytes;
    await lutimes(join(tree, path), 1, 1);
  }
  await utimes(tree, 1, 1);
  await writeFile(target, '');
  await truncate(target, Math.ceil((bytes * 1.05) / mib + 8) * mib);
  const id = uuidOf(digest.digest('hex'));
  const env = { E2FSPROGS_FAKE_TIME: '1', SOURCE_DATE_EPOCH: '1' };
  const layout = ['-b', String(blockBytes), '-N', String(paths.length + 64), '-m', '0', '-L', 'boxledger'];
  const features = [
    '-O',
    '^has_journal,^resize_inode',
    '-E',
    `hash_seed=${id},lazy_itable_init=0,root_owner=0:0`,
  ];
  await runTool('mkfs.ext4', ['-q', '-F', ...layout, ...features, '-U', id, '-d', tree, target], { env });
  await normalise(target, paths, script, env);
};

/** What mkfs takes over of the tree's files besides: when each was last changed and read, and by whom it was made. */
const normalise = async (
  target: string,
  paths: readonly string[],
  script: string,
  env: NodeJS.ProcessEnv,
): Promise<void> => {
  const fields = [
    'atime',
    'ctime',
    'mtime',
    'crtime',
    'atime_extra',
    'ctime_extra',
    'mtime_extra',
    'crtime_extra',
    ...(process.getuid?.() === 0 ? [] : ['uid', 'gid']),
  ];
  const valueFor = (field: string) => (field.endsWith('time') ? '@1' : '0');
  const odd = paths.find((path) => path.includes('\n'));
  if (odd !== undefined)
    throw new BoxledgerError('InvalidArgument', `an image cannot hold ${JSON.stringify(odd)}`, {
      help: 'Leave out names with line feeds.',
    });
  const lines = ['', 'lost+found', ...paths].flatMap((path) =>
    fields.map((field) => `sif "/${path.replaceAll('"', '""')}" ${field} ${valueFor(field)}`),
  );
  await writeFile(script, `${lines.join('\n')}\n`);
  // It goes on after a line that fails, and ends well.
  const said = await runTool('debugfs', ['-w', '-f', script, target], { env, output: 'stderr' });
  const failure = said.split('\n').find((line) => line !== '' && !/^debugfs \d/.test(line));
  if (failure !== undefined)
    throw new BoxledgerError('Internal', `the root file system could not be finished: ${failure}`);
};

const uuidOf = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
