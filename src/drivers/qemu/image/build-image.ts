import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { BoxledgerError } from '../../../kernel/errors.ts';
import { asBoxledgerError } from '../../supervised/errno-error.ts';
import { runTool } from '../tools.ts';
import { type CpioEntry, directoryMode, encodeCpio, fileMode, programMode } from './cpio.ts';
import { initramfsInit, kernelModules } from './guest-files.ts';
import { type Image, ImageStore, imageFiles } from './image-store.ts';
import { kernelPayload } from './kernel.ts';
import { makeRootDisk } from './root-disk.ts';
import { makeRootTree, type RootInputs } from './root-tree.ts';

export interface ImageInputs extends RootInputs {
  readonly agentVersion: string;
  /** A Debian package with a kernel for cloud machines; undefined: fetched by apt. */
  readonly kernelPackage: string | undefined;
}

/**
 * Makes an image in the data directory's store: kernel, initramfs and root file system, the guest agent inside. Needs no
 * root for a root file system of busybox. The same inputs make the same image, which is then there once.
 */
export const buildImage = async (dataDir: string, inputs: ImageInputs): Promise<Image> => {
  const store = new ImageStore(dataDir);
  const staged = await store.stage();
  const work = await mkdtemp(join(tmpdir(), 'boxledger-image-'));
  try {
    const kernel = await unpackKernel(work, inputs.kernelPackage);
    await writeKernel(kernel.bzImage, work, join(staged, 'kernel'));
    await writeFile(join(staged, 'initramfs'), await initramfs(kernel.modules, inputs.busyboxPath));
    const tree = join(work, 'tree');
    await mkdir(tree, { mode: 0o755 });
    await makeRootTree(tree, inputs);
    await makeRootDisk(tree, join(staged, 'root.ext4'), join(work, 'times'));
    for (const name of imageFiles) await chmod(join(staged, name), 0o444);
    return await store.keep(staged, { agentVersion: inputs.agentVersion, kernelVersion: kernel.version });
  } catch (error) {
    throw asBoxledgerError(error, 'the image could not be built');
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(staged, { recursive: true, force: true });
  }
};

interface Kernel {
  readonly version: string;
  readonly bzImage: string;
  /** Directory of its modules. */
  readonly modules: string;
}

const unpackKernel = async (work: string, given: string | undefined): Promise<Kernel> => {
  const packaged = given ?? (await fetchKernel(work));
  const unpacked = join(work, 'kernel');
  await runTool('dpkg-deb', ['-x', packaged, unpacked]);
  const names = await readdir(join(unpacked, 'boot')).catch(() => []);
  const image = names.find((name) => name.startsWith('vmlinuz-'));
  if (image === undefined)
    throw new BoxledgerError('InvalidArgument', `${packaged} is no package with a kernel`, {
      help: 'Give a linux-image-…-cloud-amd64 of Debian, or none to have it fetched.',
    });
  const version = image.slice('vmlinuz-'.length);
  return {
    version,
    bzImage: join(unpacked, 'boot', image),
    modules: join(unpacked, 'lib/modules', version, 'kernel'),
  };
};

/** Into the directory; nothing is installed. */
export const fetchKernel = async (work: string): Promise<string> => {
  const meta = 'linux-image-cloud-amd64';
  const depends = await runTool('apt-cache', ['depends', meta]);
  const name = /Depends: (linux-image-\S+-cloud-amd64)/.exec(depends)?.[1];
  if (name === undefined)
    throw new BoxledgerError('Unsupported', `apt knows no package ${meta}`, {
      help: 'Run apt-get update, or give a kernel package with --kernel FILE.deb.',
    });
  await runTool('apt-get', ['download', '-qq', name], { cwd: work });
  const fetched = (await readdir(work)).find((file) => file.startsWith(name) && file.endsWith('.deb'));
  if (fetched === undefined) throw new BoxledgerError('Unavailable', `apt did not fetch ${name}`);
  return join(work, fetched);
};

const writeKernel = async (bzImage: string, work: string, target: string): Promise<void> => {
  const packed = join(work, 'kernel.lz4');
  await writeFile(packed, kernelPayload(await readFile(bzImage)));
  await runTool('lz4', ['-q', '-d', '-f', packed, target]);
};

const initramfs = async (modules: string, busyboxPath: string): Promise<Buffer> => {
  const loaded = await Promise.all(
    kernelModules.map(async (module) => ({
      name: `${basename(module)}.ko`,
      content: await readFile(join(modules, `${module}.ko`)),
    })),
  );
  const directories = ['bin', 'dev', 'proc', 'sys', 'image', 'upper', 'root', 'modules'];
  const order = Buffer.from(loaded.map(({ name }) => `${name}\n`).join(''));
  const entries: readonly CpioEntry[] = [
    ...directories.map((path) => ({ path, mode: directoryMode })),
    { path: 'init', mode: programMode, content: Buffer.from(initramfsInit) },
    { path: 'bin/busybox', mode: programMode, content: await readFile(busyboxPath) },
    { path: 'modules/order', mode: fileMode, content: order },
    ...loaded.map(({ name, content }) => ({ path: `modules/${name}`, mode: fileMode, content })),
  ];
  return encodeCpio(entries);
};
