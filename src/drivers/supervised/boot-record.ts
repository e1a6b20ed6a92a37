import { constants } from 'node:os';
import { z } from 'zod';
import { type Exit, type ProcessIdentity, processIdentitySchema } from '../../events/process.ts';
import { BoxledgerError } from '../../kernel/errors.ts';
import { readIfThere, writeWhole } from '../../os/files.ts';
import { cgroupPathsSchema } from './cgroup.ts';
import { renameIfThere } from './files.ts';
import type { AttemptLayout, BoxLayout } from './layout.ts';
import { jsonOf } from './record-file.ts';

export const sizeSchema = z.strictObject({ memoryMib: z.number(), cpus: z.number() });

/**
 * What is known on disk of a box's last boot. Written before anything else is done for the boot, so whatever was begun
 * can be found again and undone:
 *
 * | on disk | what it means |
 * | --- | --- |
 * | no `boot.json` | nothing was begun |
 * | neither `ticket` nor `claimed` | the boot died before it let a shim loose |
 * | `ticket` | a shim may be about to start; revoking the ticket stops it |
 * | `claimed`, then `shim` is there too | that shim runs, or has ended |
 * | `main` | so does, or did, the box's outermost process |
 * | `exit` | the box has ended |
 */
const bootRecordSchema = z.strictObject({
  format: z.literal(1),
  generation: z.int().nonnegative(),
  nonce: z.string().regex(/^[0-9a-f]{16}$/),
  /** The machine's boot that the pids belong to. */
  bootId: z.string().min(1),
  mode: z.enum(['bwrap', 'unshare', 'unshare-without-user', 'plain', 'qemu']),
  cgroup: cgroupPathsSchema,
  /** Records of earlier versions do not say. */
  size: sizeSchema.optional(),
  /** The process that the log knows this run by, where it went on in another. */
  knownAs: processIdentitySchema.optional(),
});
export type BootRecord = z.infer<typeof bootRecordSchema>;

/** Undefined when nothing was begun. */
export const readBootRecord = async (box: BoxLayout): Promise<BootRecord | undefined> => {
  const text = await readIfThere(box.record);
  // A machine that lost power can leave the file empty; then nothing of that boot runs any more.
  if (text === undefined || text === '') return undefined;
  const parsed = bootRecordSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new BoxledgerError('Internal', `${box.record} is not a boot record that this version knows`, {
    help: 'It was damaged, or written by a newer version. Put it right, or end the box by hand and delete the file.',
    cause: parsed.error,
  });
};

export const writeBootRecord = (box: BoxLayout, record: BootRecord): Promise<void> =>
  writeWhole(box.record, `${JSON.stringify(record)}\n`);

/** After this no shim can begin any more; true if none had. */
export const revokeTicket = (attempt: AttemptLayout): Promise<boolean> =>
  renameIfThere(attempt.ticket, attempt.revoked);

/** Who `shim` or `main` is; undefined before it was written. */
export const readIdentity = async (path: string, bootId: string): Promise<ProcessIdentity | undefined> => {
  const text = await readIfThere(path);
  const found = text === undefined ? null : /^(\d+) (\S.*\S|\S)\s*$/.exec(text);
  if (found?.[1] === undefined || found[2] === undefined) return undefined;
  return { pid: Number(found[1]), startTime: found[2], bootId };
};

/** How the box ended; undefined while nobody has said. */
export const readExit = async (attempt: AttemptLayout): Promise<Exit | undefined> => {
  const text = (await readIfThere(attempt.exit))?.trim();
  return text === undefined || text === '' ? undefined : exitOfStatus(text);
};

/** Says how the box ended, unless that was said before. */
export const settleExit = async (attempt: AttemptLayout, status: number | 'unknown'): Promise<Exit> => {
  const before = await readExit(attempt);
  if (before !== undefined) return before;
  await writeWhole(attempt.exit, `${status}\n`);
  return exitOfStatus(String(status));
};

/** Status of a box whose processes were ended by SIGKILL, as a shell gives it. */
export const killedStatus = 128 + constants.signals.SIGKILL;

/**
 * A shell tells an end by signal n as status 128 + n, and cannot tell it from an exit with that very code. The box's
 * outermost process never exits with such a code of its own accord.
 */
const exitOfStatus = (status: string): Exit => {
  if (!/^\d{1,3}$/.test(status) || Number(status) > 255) return { kind: 'unknown' };
  const code = Number(status);
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return signal === undefined ? { kind: 'code', code } : { kind: 'signal', signal };
};
