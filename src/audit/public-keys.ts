import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { BoxledgerError } from '../kernel/errors.ts';

/** DER of an Ed25519 public key (RFC 8410) up to the key's own 32 bytes. */
const derPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** 64 hexadecimal digits. */
export const publicKeyHex = (key: KeyObject): string =>
  key.export({ type: 'spki', format: 'der' }).subarray(derPrefix.length).toString('hex');

/** The first 16 digits of SHA-256 over the public key's 32 bytes. */
export const keyIdOf = (key: KeyObject): string =>
  hash('sha256', Buffer.from(publicKeyHex(key), 'hex'), 'hex').slice(0, 16);

/** Reads a public key: PEM, or 64 hexadecimal digits. Undefined when it is neither, or not of Ed25519. */
export const readPublicKey = (text: string): KeyObject | undefined => {
  const trimmed = text.trim();
  try {
    const key = /^[0-9a-fA-F]{64}$/.test(trimmed)
      ? createPublicKey({
          key: Buffer.concat([derPrefix, Buffer.from(trimmed, 'hex')]),
          format: 'der',
          type: 'spki',
        })
      : createPublicKey(trimmed);
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined; // said by whoever asked
  }
};

/** Public keys by their ids. `trusted`: given by whoever verifies, and not by the log about itself. */
export class KeyRing {
  readonly #keys = new Map<string, KeyObject>();
  readonly trusted: boolean;

  constructor(keys: readonly KeyObject[], trusted: boolean) {
    for (const key of keys) this.#keys.set(keyIdOf(key), key);
    this.trusted = trusted;
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  find(keyId: string): KeyObject | undefined {
    return this.#keys.get(keyId);
  }
}

/** Throws `InvalidArgument` that names the file when it holds no such key. */
export const parsePublicKeyFile = (file: string, text: string): KeyObject => {
  const key = readPublicKey(text);
  if (key !== undefined) return key;
  throw new BoxledgerError('InvalidArgument', `${file} holds no Ed25519 public key`, {
    help: 'Give a file with the key in PEM or as 64 hexadecimal digits; `boxledger audit keys` prints it.',
  });
};
