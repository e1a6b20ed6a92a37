import { userInfo } from 'node:os';
import { errnoOf } from '../kernel/errno.ts';

export const actorPattern = /^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$/;

/** The user of this process as an actor: the name, or `uid:N` where there is none that the wire can carry. */
export const systemUser = (): string => {
  try {
    const { username, uid } = userInfo();
    return actorPattern.test(username) ? username : `uid:${uid}`;
  } catch (error) {
    // A user id without an entry in the system's user list has no name.
    if (errnoOf(error) === 'ERR_SYSTEM_ERROR') return `uid:${process.getuid?.()}`;
    throw error;
  }
};
