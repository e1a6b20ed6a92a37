import type { SignedCheckpoint } from './checkpoint.ts';

/**
 * A place out of the operator's hands that keeps checkpoints. It gets each at least once, in order, and takes the same one
 * twice without complaint. Whoever holds one can later show that the log was cut or made anew behind it.
 */
export interface CheckpointSink {
  /** Names the sink for as long as the log lives. */
  readonly name: string;
  /** Resolves when the checkpoint is kept; throws when it is not. */
  send(sequence: number, signed: SignedCheckpoint, signal: AbortSignal): Promise<void>;
}

/** One line of JSON, as in an export. */
export const checkpointLine = ({ body, signature }: SignedCheckpoint): string =>
  `{"kind":"checkpoint","body":${body},"signature":"${signature}"}\n`;
