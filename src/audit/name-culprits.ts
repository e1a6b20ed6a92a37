import type { FindingKind, Findings } from './findings.ts';
import { nameOf } from './findings.ts';
import { type LeafEntry, leafBytes, leafEntries, leafHashOf } from './leaf.ts';
import type { AuditedEvent, Evidence } from './log-parts.ts';
import { type Mismatch, mismatchText } from './log-verifier.ts';
import { CompactRange } from './merkle.ts';
import { placeText, samePlace } from './place.ts';

/**
 * Says which events make a checkpoint's root wrong. Where the database still holds what the checkpoint was made of, and
 * that gives the signed root, each event is compared with what was signed of it; else only the checkpoint can be named.
 */
export const nameCulprits = async (
  mismatch: Mismatch,
  evidence: Evidence | undefined,
  findings: Findings,
): Promise<void> => {
  const { checkpoint, found } = mismatch;
  const signed = await signedEntries(mismatch, evidence);
  if (evidence === undefined || signed === undefined) {
    const kind = found === checkpoint.count ? 'edited' : found < checkpoint.count ? 'missing' : 'inserted';
    findings.add({ kind, event: null, checkpoint: checkpoint.sequence, detail: mismatchText(mismatch) });
    return;
  }
  const add = (kind: FindingKind, event: AuditedEvent, detail: string) =>
    findings.add({ kind, event: nameOf(event), checkpoint: checkpoint.sequence, detail });
  const left = new Map(signed.map((entry) => [entry.hash, entry]));
  const byPlace = new Map(signed.map((entry) => [placeText(entry), entry]));
  const strangers: AuditedEvent[] = [];
  for await (const events of evidence.between(checkpoint.after, checkpoint.to))
    for (const event of events) {
      const entry = left.get(event.hash);
      if (entry === undefined) strangers.push(event);
      else if (!samePlace(entry, event))
        add('reordered', event, `it was signed at place ${placeText(entry)}`);
      left.delete(event.hash);
    }
  const known = new Set(signed.map(({ hash }) => hash));
  for (const event of strangers) {
    const entry = byPlace.get(placeText(event));
    if (known.has(event.hash)) add('duplicated', event, 'it is there twice');
    else if (entry === undefined) add('inserted', event, 'it was not there when the log was signed');
    else {
      add('edited', event, `it was signed with hash ${entry.hash} and states ${event.hash}`);
      left.delete(entry.hash);
    }
  }
  await nameMissing([...left.values()], checkpoint.sequence, evidence, findings);
};

/** What the checkpoint was made of; undefined when that is gone or has been changed as well. */
const signedEntries = async ({ checkpoint }: Mismatch, evidence: Evidence | undefined) => {
  const inputs = await evidence?.leafInputs(checkpoint.sequence);
  if (inputs === undefined || inputs.length !== checkpoint.count * leafBytes) return undefined;
  const entries = [...leafEntries(inputs)];
  const tree = new CompactRange();
  for (const entry of entries) tree.append(leafHashOf(entry));
  return tree.root() === checkpoint.root ? entries : undefined;
};

/** Events that were signed and are not in their range: moved to another place, or gone. */
const nameMissing = async (
  missing: readonly LeafEntry[],
  checkpoint: number,
  evidence: Evidence,
  findings: Findings,
) => {
  if (missing.length === 0) return;
  const hashes = missing.map(({ hash }) => hash);
  const elsewhere = new Map((await evidence.placesOf(hashes)).map((entry) => [entry.hash, entry]));
  const ends = new Map((await evidence.headsWith(hashes)).map((end) => [end.hash, end]));
  for (const entry of missing) {
    const { position, hash } = entry;
    const moved = elsewhere.get(hash);
    const end = ends.get(hash);
    findings.add({
      kind: moved === undefined ? 'missing' : 'reordered',
      event: end === undefined ? null : { streamId: end.streamId, version: end.version, position },
      checkpoint,
      detail:
        `the event that was signed at place ${placeText(entry)} with hash ${hash} is ` +
        (moved === undefined ? 'not there' : `at ${placeText(moved)}`),
    });
  }
};
