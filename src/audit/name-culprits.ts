import { type Findings, nameOf } from './findings.ts';
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
  const { left, strangers } = await compare(mismatch, signed, evidence, findings);
  const lost = [...left.values()].map(({ hash }) => hash);
  const elsewhere = new Map(
    lost.length === 0 ? [] : (await evidence.eventsWith(lost)).map((entry) => [entry.hash, entry]),
  );
  const byPlace = new Map(signed.map((entry) => [placeText(entry), entry]));
  const known = new Set(signed.map(({ hash }) => hash));
  for (const event of strangers) {
    const entry = byPlace.get(placeText(event));
    const [kind, detail] = known.has(event.hash)
      ? (['duplicated', 'it is there twice'] as const)
      : entry === undefined
        ? (['inserted', 'it was not there when the log was signed'] as const)
        : elsewhere.has(entry.hash)
          ? (['reordered', 'it was not signed at that place'] as const)
          : (['edited', `it was signed with hash ${entry.hash} and states ${event.hash}`] as const);
    if (kind === 'edited' && entry !== undefined) left.delete(entry.hash);
    findings.add({ kind, event: nameOf(event), checkpoint: checkpoint.sequence, detail });
  }
  await nameMissing([...left.values()], elsewhere, mismatch, evidence, findings);
};

type Found = ReadonlyMap<string, Awaited<ReturnType<Evidence['eventsWith']>>[number]>;

/** What of the signed is not in its range, and what is there that was not signed, or not once more. */
const compare = async (
  { checkpoint: { after, to, sequence } }: Mismatch,
  signed: readonly LeafEntry[],
  evidence: Evidence,
  findings: Findings,
) => {
  const left = new Map(signed.map((entry) => [entry.hash, entry]));
  const strangers: AuditedEvent[] = [];
  for await (const events of evidence.between(after, to))
    for (const event of events) {
      const entry = left.get(event.hash);
      if (entry === undefined) strangers.push(event);
      else if (!samePlace(entry, event))
        findings.add({
          kind: 'reordered',
          event: nameOf(event),
          checkpoint: sequence,
          detail: `it was signed at place ${placeText(entry)}`,
        });
      left.delete(event.hash);
    }
  return { left, strangers };
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
  elsewhere: Found,
  { checkpoint: { sequence } }: Mismatch,
  evidence: Evidence,
  findings: Findings,
) => {
  const gone = missing.map(({ hash }) => hash).filter((hash) => !elsewhere.has(hash));
  const ends = new Map(
    gone.length === 0 ? [] : (await evidence.headsWith(gone)).map((end) => [end.hash, end]),
  );
  for (const { hash, ...place } of missing) {
    const moved = elsewhere.get(hash);
    const end = ends.get(hash);
    const was = `the event that was signed at place ${placeText(place)} with hash ${hash}`;
    const found = { checkpoint: sequence };
    if (moved !== undefined)
      findings.add({
        ...found,
        kind: 'reordered',
        event: nameOf(moved),
        detail: `it was signed at place ${placeText(place)}`,
      });
    else if (end !== undefined)
      findings.add({
        ...found,
        kind: 'missing',
        event: { ...nameOf({ ...end, position: place.position }) },
        detail: `${was} is not there`,
      });
    else findings.add({ ...found, kind: 'missing', event: null, detail: `${was} is not there` });
  }
};
