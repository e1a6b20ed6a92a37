import { createHash } from 'node:crypto';
import type { CommandId } from '../kernel/ids.ts';
import { idAlphabet, idLength } from '../kernel/ids.ts';
import type { Mutation } from './requests.ts';

const madeUpLength = 10;

/** The end of a name that the caller left to us. From the command's id where there is one, so that a repeated call makes up the same. */
export const madeUpSuffix = (id: string, { commandId }: Mutation): string =>
  commandId === undefined ? id.slice(-madeUpLength) : idTextOf(commandId, madeUpLength);

/** The random part of an id that follows from the command that it is minted for. */
export const idTextOf = (commandId: CommandId, length: number = idLength): string =>
  Array.from(createHash('sha256').update(commandId).digest().subarray(0, length), (byte) =>
    idAlphabet.charAt(byte % idAlphabet.length),
  ).join('');
