import type { Checkpoint } from './checkpoint.ts';
import type { Finding } from './findings.ts';
import type { StrayHead } from './log-parts.ts';

/** What a verification came to. */
export interface Verdict {
  readonly events: number;
  /** Events after the last checkpoint: only their hashes bind them, and whoever can write can make those anew. */
  readonly unsealed: number;
  readonly checkpoints: number;
  /** Events that are in archives which were not given: of them only the checkpoints were verified. */
  readonly archived: { readonly events: number; readonly files: readonly string[] };
  readonly last: { readonly checkpoint: Checkpoint; readonly hash: string } | null;
  /** Whether the keys were given, and not taken from the log. */
  readonly keysTrusted: boolean;
  readonly findings: readonly Finding[];
  readonly findingsBeyond: number;
}

/** What a head that is not as the end of its stream says about it. */
export const strayFinding = ({ head, lastVersion, lastHash }: StrayHead): Finding => {
  const { streamId, version } = head;
  const [kept, last] = [Number(version), Number(lastVersion)];
  const event = { streamId, version, position: null };
  if (kept > last)
    return {
      kind: 'truncated',
      event,
      checkpoint: null,
      detail: `the stream's head is at version ${version}, its last event is ${last === 0 ? 'gone' : `version ${last}`}`,
    };
  if (kept < last)
    return {
      kind: 'inserted',
      event: { ...event, version: lastVersion },
      checkpoint: null,
      detail: `the stream's head is at version ${version}`,
    };
  return {
    kind: 'edited',
    event,
    checkpoint: null,
    detail: `the stream's head has hash ${head.hash}, its last event ${lastHash}`,
  };
};
