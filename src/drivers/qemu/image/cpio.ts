/**
 * A cpio archive of the format `newc`, as Linux unpacks its initramfs from (Documentation/driver-api/early-userspace/
 * buffer-format.rst). Everything belongs to root and is of the year 1970, so that the same content is the same bytes.
 */
export interface CpioEntry {
  readonly path: string;
  /** Type and permissions, as in `st_mode`. */
  readonly mode: number;
  readonly content?: Uint8Array;
}

export const directoryMode = 0o040755;
export const programMode = 0o100755;
export const fileMode = 0o100644;

export const encodeCpio = (entries: readonly CpioEntry[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap((entry, index) => encode(entry, index + 1)),
    ...encode({ path: 'TRAILER!!!', mode: 0 }, 0),
  ]);

const encode = (
  { path, mode, content = new Uint8Array() }: CpioEntry,
  inode: number,
): readonly Uint8Array[] => {
  const name = Buffer.from(`${path}\0`);
  const [links, noDevice] = [mode >> 12 === 4 ? 2 : 1, [0, 0, 0, 0]];
  const fields = [inode, mode, 0, 0, links, 0, content.length, ...noDevice, name.length, 0];
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [head, name, padding(head.length + name.length), content, padding(content.length)];
};

const padding = (length: number) => Buffer.alloc(-length & 3);
