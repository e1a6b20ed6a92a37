import { z } from 'zod';
import { BoxledgerError } from '../kernel/errors.ts';
import type { JsonValue } from '../kernel/json.ts';
import type { Checkpoint, SignedCheckpoint } from './checkpoint.ts';
import { checkpointLine } from './checkpoint-sink.ts';
import { digestOf, noHash } from './event-digest.ts';
import { checkpointSchema, inclusionSchema, jsonOf, parseExportLine } from './export-line-parser.ts';
import { eventJson } from './export-lines.ts';
import { isIncluded, trustedCheckpoint } from './inclusion.ts';
import type { AuditedEvent, Inclusion } from './log-parts.ts';
import type { KeyRing } from './public-keys.ts';

const proofFormat = 'boxledger-proof/1';

/** That an event was in the log, as it is, at its place, when a checkpoint was signed. */
export interface Proof {
  readonly event: AuditedEvent;
  readonly inclusion: Inclusion;
  readonly signed: SignedCheckpoint;
}

/** One line of JSON. */
export const proofText = ({ event, inclusion, signed }: Proof): string =>
  `{"format":"${proofFormat}","event":{${eventJson(event)}},"proof":${JSON.stringify(inclusion)},` +
  `"checkpoint":${checkpointLine(signed).trimEnd()}}\n`;

const proofSchema = z.strictObject({
  format: z.literal(proofFormat),
  event: z.record(z.string(), z.json()),
  proof: inclusionSchema,
  checkpoint: checkpointSchema,
});

/** Throws `InvalidArgument` for what is no proof at all. `origin`: what the user calls it. */
export const readProof = (text: string, origin: string): Proof => {
  const parsed = proofSchema.safeParse(jsonOf(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw noProof(origin, issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`);
  }
  const { event, proof: inclusion, checkpoint } = parsed.data;
  return {
    event: part(origin, event, 'event').event,
    inclusion,
    signed: part(origin, checkpoint, 'checkpoint').signed,
  };
};

const part = <Kind extends 'event' | 'checkpoint'>(origin: string, value: JsonValue, kind: Kind) => {
  const line = parseExportLine(JSON.stringify(value));
  if (typeof line === 'string') throw noProof(origin, `its ${kind} ${line}`);
  if (line.kind !== kind) throw noProof(origin, `its ${kind} is something else`);
  return line as Extract<typeof line, { kind: Kind }>; // narrowed by the line above
};

const noProof = (origin: string, problem: string) =>
  new BoxledgerError('InvalidArgument', `${origin} holds no proof: ${problem}`, {
    help: 'Give a file that `boxledger audit prove` has written.',
  });

/** The checkpoint that proves the event, or in words why nothing is proved. */
export const checkProof = ({ event, inclusion, signed }: Proof, keys: KeyRing): Checkpoint | string => {
  const checkpoint = trustedCheckpoint(signed, keys);
  if (typeof checkpoint === 'string') return `the checkpoint is not to be trusted: ${checkpoint}`;
  const previous = event.previousHash || noHash;
  if (event.envelope === undefined || digestOf(previous, event.envelope) !== event.hash)
    return 'the event is not what its hash says';
  if (!isIncluded(event, inclusion, checkpoint))
    return `the path does not lead from the event to the root that checkpoint ${checkpoint.sequence} signs`;
  return checkpoint;
};
