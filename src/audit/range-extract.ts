import { BoxledgerError } from '../kernel/errors.ts';
import type { AuditSource } from './audit-source.ts';
import { readCheckpoint } from './checkpoint.ts';
import type { LogPart } from './log-parts.ts';
import { beginning, type Place } from './place.ts';

/** Past every place. */
const end: Place = { transactionId: String(2n ** 64n - 1n), position: String(2n ** 63n - 1n) };

/** The events of the checkpoints from one sequence number to another, or to the log's end when that is null. */
export async function* rangeExtract(
  source: AuditSource,
  fromSequence: number,
  toSequence: number | null,
): AsyncGenerator<LogPart> {
  let last: Place | undefined;
  for await (const signed of source.checkpoints(fromSequence)) {
    const checkpoint = readCheckpoint(signed.body);
    if (typeof checkpoint === 'string')
      throw new BoxledgerError('InvalidState', `a checkpoint cannot be exported: ${checkpoint}`, {
        help: 'It has been changed; `boxledger audit verify` says more.',
      });
    if (toSequence !== null && checkpoint.sequence > toSequence) return;
    for await (const events of source.between(checkpoint.after, checkpoint.to))
      yield { kind: 'events', events };
    yield { kind: 'checkpoint', signed };
    last = checkpoint.to;
  }
  if (last === undefined && fromSequence > 1)
    throw new BoxledgerError('NotFound', `There is no checkpoint ${fromSequence}.`);
  if (toSequence === null)
    for await (const events of source.between(last ?? beginning, end)) yield { kind: 'events', events };
}
