import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import type { BoxOptions } from '../../events/box-options.ts';
import { writeWhole } from '../../os/files.ts';
import { removeTree, sha256Of } from '../supervised/files.ts';
import type { Image } from './image/image-store.ts';
import { templateFiles } from './machine-plan.ts';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const templateRecordSchema = z.strictObject({
  format: z.literal(1),
  memory: sha256Schema,
  state: sha256Schema,
});

/** What has to be alike for one machine to go on from another's memory. */
export interface TemplateKey {
  readonly image: Image;
  readonly options: Pick<BoxOptions, 'memoryMib' | 'cpus'>;
}

export interface TemplatesOptions {
  readonly dataDir: string;
  /** Everything of the host and of QEMU that a machine's state depends on. */
  readonly host: Readonly<Record<string, string>>;
  /** Makes one in an empty directory: files `memory` and `state`. */
  readonly make: (key: TemplateKey, directory: string, signal: AbortSignal) => Promise<void>;
  /** Told of one that could not be made, or was not what it had been. */
  readonly failed: (error: unknown) => void;
}

/**
 * Machines as they were once they had come up, to go on from: below `templates/` of a data directory, each in a directory
 * that has the digest of its key for a name, there whole or not at all. QEMU has to be able to write to the memory's
 * file, though it never does: a template is used only if it is what it was, by its checksum when a service first uses it, and from
 * then on by the time of its last change, which nobody but root could set back.
 */
export class Templates {
  readonly #directory: string;
  readonly #options: TemplatesOptions;
  /** Time of the last change to a template that was found good, by its name. */
  readonly #good = new Map<string, string>();
  readonly #checking = new Map<string, Promise<void>>();
  /** One is made after the other: each takes a processor for seconds. */
  #making: Promise<void> = Promise.resolve();
  readonly #wanted = new Set<string>();
  readonly #closed = new AbortController();

  constructor(options: TemplatesOptions) {
    this.#directory = join(options.dataDir, 'templates');
    this.#options = options;
  }

  /** Clears away what an earlier life of the service left half made. */
  async setUp(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o711 });
    for (const name of await readdir(this.#directory))
      if (!namePattern.test(name)) await removeTree(join(this.#directory, name));
  }

  /** Directory of one that can be used. Undefined: there is none. What nobody has looked at yet is looked at first. */
  async find(key: TemplateKey): Promise<string | undefined> {
    const name = this.nameOf(key);
    const directory = join(this.#directory, name);
    const changed = await lastChange(directory);
    if (changed === undefined) return undefined;
    if (this.#good.get(name) !== changed) await this.#check(name);
    return this.#good.get(name) === changed ? directory : undefined;
  }

  /** Sees to it that there will be one, and calls `made` then. Takes no time of the caller's. */
  want(key: TemplateKey, made: () => void): void {
    const name = this.nameOf(key);
    if (this.#wanted.has(name) || this.#closed.signal.aborted) return;
    this.#wanted.add(name);
    this.#making = this.#making
      .then(async () => {
        if ((await lastChange(join(this.#directory, name))) === undefined) await this.#make(key, name);
        made();
      })
      .catch((error: unknown) => {
        if (!this.#closed.signal.aborted) this.#options.failed(error);
      })
      .finally(() => this.#wanted.delete(name));
  }

  /** Ends the making of what is not made yet. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the service ends'));
    await this.#making;
  }

  /** It could not be gone on from. */
  async discard(key: TemplateKey): Promise<void> {
    const name = this.nameOf(key);
    this.#good.delete(name);
    const doomed = join(this.#directory, `removed-${name}`);
    await rename(join(this.#directory, name), doomed).catch(() => undefined); // gone already
    await removeTree(doomed);
  }

  async #make(key: TemplateKey, name: string): Promise<void> {
    const staged = join(this.#directory, `new-${name}`);
    await removeTree(staged);
    await mkdir(staged, { mode: 0o711 });
    try {
      this.#closed.signal.throwIfAborted();
      await this.#options.make(key, staged, this.#closed.signal);
      const record = { format: 1, ...(await digestsOf(staged)) };
      await writeWhole(join(staged, recordName), `${JSON.stringify(record)}\n`, { flush: true });
      await chmod(join(staged, templateFiles.state), 0o444);
      await rename(staged, join(this.#directory, name));
      this.#good.set(name, (await lastChange(join(this.#directory, name))) ?? '');
    } finally {
      await removeTree(staged);
    }
  }

  #check(name: string): Promise<void> {
    const checking =
      this.#checking.get(name) ??
      this.#checkOnce(name)
        .catch((error: unknown) => this.#options.failed(error))
        .finally(() => this.#checking.delete(name));
    this.#checking.set(name, checking);
    return checking;
  }

  async #checkOnce(name: string): Promise<void> {
    const directory = join(this.#directory, name);
    const changed = await lastChange(directory);
    if (changed !== undefined && (await isAsRecorded(directory))) {
      this.#good.set(name, changed);
      return;
    }
    this.#good.delete(name);
    await removeTree(directory);
    throw new Error(`template ${name} was not what it had been, and is made anew`);
  }

  /** Alike for those that go on from the same. */
  nameOf({ image, options: { memoryMib, cpus } }: TemplateKey): string {
    const key = { ...this.#options.host, image: image.digest, memoryMib, processors: Math.ceil(cpus) };
    return createHash('sha256')
      .update(canonicalize(key) ?? '')
      .digest('hex');
  }
}

const isAsRecorded = async (directory: string): Promise<boolean> => {
  try {
    const text = await readFile(join(directory, recordName), 'utf8');
    const { memory, state } = templateRecordSchema.parse(JSON.parse(text));
    const found = await digestsOf(directory);
    return found.memory === memory && found.state === state;
  } catch {
    return false; // whatever is wrong with it, it is made anew
  }
};

const recordName = 'template.json';
const namePattern = /^[0-9a-f]{64}$/;

/** Of the memory's file, and its size; undefined where there is no template. */
const lastChange = async (directory: string): Promise<string | undefined> => {
  const found = await stat(join(directory, templateFiles.memory), { bigint: true }).catch(() => undefined);
  return found && `${found.ctimeNs} ${found.size}`;
};

const digestsOf = async (directory: string) => ({
  memory: await sha256Of(join(directory, templateFiles.memory)),
  state: await sha256Of(join(directory, templateFiles.state)),
});
