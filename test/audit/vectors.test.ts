import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../src/audit/canonical-json.ts';
import { checkpointHash, isSignedBy, readCheckpoint, signCheckpoint } from '../../src/audit/checkpoint.ts';
import { digestOf } from '../../src/audit/event-digest.ts';
import { ExportFile } from '../../src/audit/export-file.ts';
import { leafHashOf, writeLeaf } from '../../src/audit/leaf.ts';
import { CompactRange, leafHash, MerkleTree, rootByPath } from '../../src/audit/merkle.ts';
import { checkProof, proofText, readProof } from '../../src/audit/proof.ts';
import { KeyRing, keyIdOf, readPublicKey } from '../../src/audit/public-keys.ts';
import { verifyLog } from '../../src/audit/verify-log.ts';

const pathOf = (name: string) => fileURLToPath(new URL(`../vectors/${name}`, import.meta.url));
const textOf = (name: string) => readFileSync(pathOf(name), 'utf8');
const vectors = (name: string) => JSON.parse(textOf(name));
const checkpoints = vectors('checkpoint.json');
const key = readPublicKey(checkpoints.publicKey);
if (key === undefined) throw new Error('the vectors have no key');
const keys = new KeyRing([key], true);

test.each<{ name: string; previous: string; envelope: never; canonical: string; hash: string }>(
  vectors('event-hash.json'),
)('hash of $name', ({ previous, envelope, canonical, hash }) => {
  expect(canonicalJson(envelope)).toBe(canonical);
  expect(digestOf(previous, canonical)).toBe(hash);
});

test('trees and paths are those of Certificate Transparency', () => {
  const { inputs, roots, paths } = vectors('merkle.json');
  const leaves: string[] = inputs.map((input: string) => leafHash(Buffer.from(input, 'hex')));
  const range = new CompactRange();
  for (const [index, leaf] of leaves.entries()) {
    range.append(leaf);
    expect(range.root()).toBe(roots[index]);
    expect(new MerkleTree(leaves.slice(0, index + 1)).root()).toBe(roots[index]);
  }
  for (const { size, index, path } of paths) {
    expect(new MerkleTree(leaves.slice(0, size)).path(index)).toEqual(path);
    expect(rootByPath(leaves[index] ?? '', index, size, path)).toBe(roots[size - 1]);
  }
});

test('a leaf is the place and the hash', () => {
  for (const { transactionId, position, eventHash, leaf, leafHash: hashed } of vectors('merkle.json')
    .leaves) {
    const entry = { transactionId, position, hash: eventHash };
    const bytes = Buffer.alloc(48);
    writeLeaf(bytes, 0, entry);
    expect(bytes.toString('hex')).toBe(leaf);
    expect(leafHashOf(entry)).toBe(hashed);
  }
});

test('checkpoints are signed as the vectors are', () => {
  const seed = Buffer.from(checkpoints.privateKeySeed, 'hex');
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex'); // PKCS #8 of Ed25519, RFC 8410
  const privateKey = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
  expect(keyIdOf(key)).toBe(checkpoints.keyId);
  for (const { body, canonical, signature, hash } of checkpoints.checkpoints) {
    const signed = { body: canonical, signature };
    expect(readCheckpoint(canonical)).toEqual(body);
    expect(signCheckpoint(body, privateKey)).toEqual(signed);
    expect(checkpointHash(signed)).toBe(hash);
    expect(isSignedBy(signed, key)).toBe(true);
  }
});

test('the export is verified, and the proof is one', async () => {
  const verdict = await verifyLog(await ExportFile.open(pathOf('export.ndjson')), { keys });
  expect(verdict).toMatchObject({ events: 6, checkpoints: 2, unsealed: 1, findings: [] });
  const proof = readProof(textOf('proof.json'), 'proof.json');
  expect(checkProof(proof, keys)).toMatchObject({ sequence: 1 });
  expect(JSON.parse(proofText(proof))).toEqual(vectors('proof.json'));
});
