import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import { BoxledgerError } from '../../../kernel/errors.ts';
import { readIfThere, writeWhole } from '../../../os/files.ts';
import { isThere, removeTree } from '../../supervised/files.ts';
import { jsonOf } from '../../supervised/record-file.ts';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.strictObject({ sha256: sha256Schema, bytes: z.int().nonnegative() });

/** What an image is: the digest of this, as canonical JSON (RFC 8785), names it. */
const imageRecordSchema = z.strictObject({
  format: z.literal(1),
  /** Release of the agent inside. */
  agentVersion: z.string(),
  /** Release of its kernel. */
  kernelVersion: z.string(),
  files: z.strictObject({ kernel: fileSchema, initramfs: fileSchema, 'root.ext4': fileSchema }),
});
export type ImageRecord = z.infer<typeof imageRecordSchema>;

export const imageFiles = ['kernel', 'initramfs', 'root.ext4'] as const;

export interface Image {
  /** `sha256-` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly directory: string;
  readonly record: ImageRecord;
}

/**
 * Images below `images/` of a data directory: each in a directory that has its digest for a name, and is there whole or
 * not at all. `current` names the one that new boxes get.
 */
export class ImageStore {
  readonly #directory: string;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, 'images');
  }

  async list(): Promise<readonly Image[]> {
    await mkdir(this.#directory, { recursive: true, mode: 0o755 });
    const names = (await readdir(this.#directory)).filter((name) => /^sha256-[0-9a-f]{64}$/.test(name));
    return Promise.all(names.sort().map((name) => this.find(name)));
  }

  /** Undefined: new boxes have none to be made of. */
  async current(): Promise<Image | undefined> {
    const digest = (await readIfThere(join(this.#directory, 'current')))?.trim();
    return digest === undefined ? undefined : this.find(digest);
  }

  /** Throws `NotFound` when it is not here, `Internal` when it is not what its digest says. */
  async find(digest: string): Promise<Image> {
    const directory = join(this.#directory, digest);
    const text = /^sha256-[0-9a-f]{64}$/.test(digest)
      ? await readIfThere(join(directory, 'image.json'))
      : undefined;
    if (text === undefined)
      throw new BoxledgerError('NotFound', `there is no image ${digest} on this host`, {
        help: 'boxledger image ls lists those that are here; boxledger image build makes one.',
      });
    const record = imageRecordSchema.safeParse(jsonOf(text)).data;
    if (record === undefined || digestOf(record) !== digest) throw damaged(digest, 'image.json');
    return { digest, directory, record };
  }

  /** Looks at every byte of it. Throws `Internal` when one is not as its digest says. */
  async verify({ digest, directory, record }: Image): Promise<void> {
    for (const name of imageFiles)
      if ((await describe(join(directory, name)))?.sha256 !== record.files[name].sha256)
        throw damaged(digest, name);
  }

  /** An empty directory to make an image in; `keep` takes it over. What an earlier one left that died goes. */
  async stage(): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o755 });
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      if (name.startsWith(stagingPrefix) && Date.now() - (await stat(path)).mtimeMs > abandonedMs)
        await removeTree(path);
    }
    const staged = await mkdtemp(join(this.#directory, stagingPrefix));
    await chmod(staged, 0o755);
    return staged;
  }

  /** Gives the staged image its name, and lets new boxes be made of it. There already: success. */
  async keep(staged: string, about: Omit<ImageRecord, 'files' | 'format'>): Promise<Image> {
    const described = await Promise.all(
      imageFiles.map(async (name) => [name, await describe(join(staged, name))] as const),
    );
    const record = imageRecordSchema.parse({ format: 1, ...about, files: Object.fromEntries(described) });
    const digest = digestOf(record);
    const directory = join(this.#directory, digest);
    if (!(await isThere(directory))) {
      await writeWhole(join(staged, 'image.json'), `${JSON.stringify(record, null, 2)}\n`, { flush: true });
      await rename(staged, directory);
    } else await removeTree(staged);
    await writeWhole(join(this.#directory, 'current'), `${digest}\n`, { flush: true });
    return { digest, directory, record };
  }

  /** Nothing there is success. Whether anything stands on it is for the caller to find out. */
  async remove(digest: string): Promise<void> {
    const current = join(this.#directory, 'current');
    if ((await readIfThere(current))?.trim() === digest) await removeTree(current);
    const doomed = await this.stage();
    await rename(join(this.#directory, digest), join(doomed, digest)).catch(() => undefined);
    await removeTree(doomed);
  }
}

const stagingPrefix = 'staging-';
/** No build takes as long. */
const abandonedMs = 3_600_000;

const digestOf = (record: ImageRecord): string =>
  `sha256-${createHash('sha256')
    .update(canonicalize(record) ?? '')
    .digest('hex')}`;

const describe = async (path: string) => {
  const hash = createHash('sha256');
  let bytes = 0;
  const file = createReadStream(path);
  file.on('data', (chunk) => {
    bytes += chunk.length;
  });
  await pipeline(file, hash);
  return { sha256: hash.digest('hex'), bytes };
};

const damaged = (digest: string, file: string) =>
  new BoxledgerError('Internal', `image ${digest} is damaged: ${file} is not what it was`, {
    help: 'Build it again with boxledger image build, once it is removed with boxledger image rm.',
  });
