import { readFile } from 'node:fs/promises';
import { BoxledgerError } from '../kernel/errors.ts';

/** Whom a program runs as. */
interface User {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

/**
 * `USER` or `USER:GROUP`, each by name or number, looked up in the box's own files; what is wrong with it otherwise. As in
 * Docker, a number need not be listed: such a user's group and home are those of nobody in particular, 0 and `/`.
 */
export const findUser = async (text: string): Promise<User | string> => {
  const [wanted = '', group] = text.split(/:(.*)/s);
  const number = numberOf(wanted);
  const row = (await rowsOf('/etc/passwd')).find(([name, , uid]) =>
    number === undefined ? name === wanted : Number(uid) === number,
  );
  const uid = number ?? (row === undefined ? undefined : numberOf(row[2] ?? ''));
  if (uid === undefined) return `there is no user ${wanted} in this box`;
  const gid = group === undefined ? (numberOf(row?.[3] ?? '') ?? 0) : await findGroup(group);
  if (gid === undefined) return `there is no group ${group} in this box`;
  return { uid, gid, name: row?.[0] ?? wanted, home: row?.[5] || '/' };
};

const findGroup = async (wanted: string): Promise<number | undefined> => {
  const number = numberOf(wanted);
  if (number !== undefined) return number;
  const row = (await rowsOf('/etc/group')).find(([name]) => name === wanted);
  return numberOf(row?.[2] ?? '');
};

/** What `spawn` has to change; nothing for the agent's own user. Throws `PermissionDenied` when it may not. */
export const idsToBecome = (
  user: string,
  uid: number,
  gid: number,
): { readonly uid?: number; readonly gid?: number } => {
  const own = { uid: process.getuid?.(), gid: process.getgid?.() };
  if (own.uid === uid && own.gid === gid) return {};
  if (own.uid === 0) return { uid, gid };
  throw new BoxledgerError('PermissionDenied', `programs of this box cannot run as ${user}`, {
    help: `The box's agent is not root here, and runs programs as its own user alone: leave the user out.`,
  });
};

/** A box without the file has no names. */
const rowsOf = async (path: string): Promise<readonly (readonly string[])[]> =>
  (await readFile(path, 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));

const numberOf = (text: string): number | undefined => {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return number < 2 ** 32 - 1 ? number : undefined;
};
