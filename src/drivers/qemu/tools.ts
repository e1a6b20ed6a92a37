import { type ExecFileOptions, execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errnoOf } from '../../kernel/errno.ts';
import { BoxledgerError } from '../../kernel/errors.ts';

/** Programs of the host that machines need, and the packages of Debian that have them. */
export const toolPackages = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  'mkfs.ext4': 'e2fsprogs',
  debugfs: 'e2fsprogs',
  busybox: 'busybox-static',
  lz4: 'lz4',
  debootstrap: 'debootstrap',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  ldd: 'libc-bin',
  bwrap: 'bubblewrap',
  tar: 'tar',
  cp: 'coreutils',
} as const;
export type Tool = keyof typeof toolPackages;

const path = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;

interface ToolOptions extends Pick<ExecFileOptions, 'cwd' | 'signal' | 'env'> {
  /** What is given; by default what it wrote to its standard output. */
  readonly output?: 'stdout' | 'stderr';
}

/** Runs it to its end; gives its output. Throws `Unsupported` where it is not installed, `Internal` with what it said. */
export const runTool = async (
  tool: Tool,
  args: readonly string[],
  { output = 'stdout', ...options }: ToolOptions = {},
): Promise<string> => {
  try {
    const env = { ...process.env, ...options.env, PATH: path, LC_ALL: 'C' };
    const said = await promisify(execFile)(tool, [...args], { ...options, env, maxBuffer: 64 << 20 });
    return said[output];
  } catch (error) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    if (errnoOf(error) === 'ENOENT') throw notInstalled(tool, error);
    const { stderr = '' } = error as { readonly stderr?: string };
    throw new BoxledgerError('Internal', `${tool} failed: ${stderr.trim().slice(-1_000)}`, { cause: error });
  }
};

/** Where it is. Throws `Unsupported` where it is not installed. */
export const findTool = async (tool: Tool): Promise<string> => {
  for (const directory of path.split(':').filter((one) => one !== ''))
    if (existsSync(join(directory, tool))) return realpath(join(directory, tool));
  throw notInstalled(tool, undefined);
};

const notInstalled = (tool: Tool, cause: unknown) =>
  new BoxledgerError('Unsupported', `${tool} is not installed`, {
    help: `Install it; on Debian: apt-get install ${toolPackages[tool]}`,
    cause,
  });
