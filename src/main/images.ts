import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { packageVersion } from '../cli/commands/version.ts';
import type { ServeOptions } from '../cli/serve-options.ts';
import type { HostImage, ImageCommands } from '../cli/server-commands.ts';
import { buildImage } from '../drivers/qemu/image/build-image.ts';
import { type Image, ImageStore } from '../drivers/qemu/image/image-store.ts';
import { imageOfDisk } from '../drivers/qemu/layered-disk.ts';
import { findTool } from '../drivers/qemu/tools.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { agentPath } from './open-driver.ts';

/** The images of a data directory, whether a server is up on it or not. */
export const imageCommands: ImageCommands = {
  build: async ({ dataDir }, { base, from, kernelPackage }) => {
    const image = await buildImage(dataDir, {
      busyboxPath: await findTool('busybox'),
      nodePath: process.execPath,
      agentPath,
      base,
      from,
      agentVersion: packageVersion(),
      kernelPackage,
    });
    return hostImage({ dataDir }, image, image.digest);
  },

  list: async ({ dataDir }) => {
    const store = new ImageStore(dataDir);
    const [images, current] = [await store.list(), await store.current()];
    return Promise.all(images.map((image) => hostImage({ dataDir }, image, current?.digest)));
  },

  remove: async ({ dataDir }, digest) => {
    const store = new ImageStore(dataDir);
    await store.find(digest);
    const disks = await disksOn(dataDir, digest);
    if (disks > 0)
      throw new BoxledgerError('InvalidState', `${disks} disks and snapshots stand on image ${digest}`, {
        help: 'Remove their boxes and snapshots first.',
      });
    await store.remove(digest);
  },
};

const hostImage = async (
  { dataDir }: Pick<ServeOptions, 'dataDir'>,
  { digest, record }: Image,
  current: string | undefined,
): Promise<HostImage> => ({
  digest,
  kernelVersion: record.kernelVersion,
  agentVersion: record.agentVersion,
  bytes: Object.values(record.files).reduce((sum, { bytes }) => sum + bytes, 0),
  isCurrent: digest === current,
  disks: await disksOn(dataDir, digest),
});

/** Of boxes and of their snapshots. */
const disksOn = async (dataDir: string, digest: string): Promise<number> => {
  const below = async (directory: string) =>
    (await readdir(directory).catch(() => [])).map((name) => join(directory, name));
  const boxes = await below(join(dataDir, 'boxes'));
  const snapshots = (await Promise.all(boxes.map((box) => below(join(box, 'snapshots'))))).flat();
  const images = await Promise.all([...boxes, ...snapshots].map((path) => imageOfDisk(join(path, 'disk'))));
  return images.filter((image) => image === digest).length;
};
