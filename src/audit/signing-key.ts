import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../kernel/errno.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { keyIdOf, publicKeyHex } from './public-keys.ts';

/** What checkpoints are signed with. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly keyId: string;
  readonly publicKeyHex: string;
}

/**
 * Reads the Ed25519 key from a file in PEM (PKCS #8); when there is none, makes one there that only its owner can read.
 * Somebody else's making one at the same moment is no harm: both use the one that was there first. Another key in its place
 * is a rotation: from then on that one signs, and the log keeps the public keys of all before.
 */
export const openKeyFile = async (file: string): Promise<SigningKey> => {
  const text = (await readIfThere(file)) ?? (await makeKey(file));
  return readSigningKey(text, `key file ${file}`);
};

/** `origin`: what the user calls the place that the text came from. */
export const readSigningKey = (text: string, origin: string): SigningKey => {
  const privateKey = parsePrivateKey(text, origin);
  const publicKey = createPublicKey(privateKey);
  return { privateKey, keyId: keyIdOf(publicKey), publicKeyHex: publicKeyHex(publicKey) };
};

const parsePrivateKey = (text: string, origin: string): KeyObject => {
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw notAKey(origin, cause);
  }
  throw notAKey(origin);
};

const notAKey = (origin: string, cause?: unknown) =>
  new BoxledgerError('InvalidArgument', `${origin}: holds no Ed25519 private key`, {
    help: 'Make one with `openssl genpkey -algorithm ed25519`, or leave the file away to have one made.',
    cause,
  });

const readIfThere = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined;
    throw new BoxledgerError('InvalidArgument', `key file ${file}: cannot be read (${errnoOf(cause)})`, {
      cause,
    });
  }
};

const makeKey = async (file: string): Promise<string> => {
  const text = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(4).toString('hex')}.draft`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file); // fails when there is one already
    return text;
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    return await readFile(file, 'utf8');
  } finally {
    await rm(draft, { force: true });
  }
};
