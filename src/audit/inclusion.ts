import { type Checkpoint, isSignedBy, readCheckpoint, type SignedCheckpoint } from './checkpoint.ts';
import { leafHashOf } from './leaf.ts';
import type { AuditedEvent, Inclusion } from './log-parts.ts';
import { rootByPath } from './merkle.ts';
import type { KeyRing } from './public-keys.ts';

/** The checkpoint, if a key of the ring has signed it; else in words why it proves nothing. */
export const trustedCheckpoint = (signed: SignedCheckpoint, keys: KeyRing): Checkpoint | string => {
  const checkpoint = readCheckpoint(signed.body);
  if (typeof checkpoint === 'string') return checkpoint;
  const key = keys.find(checkpoint.keyId);
  if (key === undefined) return `it is signed by key ${checkpoint.keyId}, which is not among the keys given`;
  return isSignedBy(signed, key) ? checkpoint : `its signature is not that of key ${checkpoint.keyId}`;
};

/** Whether the path leads from the event, at its place, to the root that the checkpoint signs. */
export const isIncluded = (
  event: AuditedEvent,
  { sequence, index, path }: Inclusion,
  checkpoint: Checkpoint,
): boolean =>
  sequence === checkpoint.sequence &&
  rootByPath(leafHashOf(event), index, checkpoint.count, path) === checkpoint.root;
