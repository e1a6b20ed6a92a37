import { BoxledgerError } from '../kernel/errors.ts';
import type { AuditedEvent } from './log-parts.ts';
import type { Proof } from './proof.ts';
import { openBatch, type StreamSource } from './stream-extract.ts';

/** Throws `NotFound` when there is no such event, `Unavailable` while no checkpoint covers it. */
export const proveEvent = async (source: StreamSource, streamId: string, version: string): Promise<Proof> => {
  const event = await find(source, streamId, version);
  const sealed = await source.checkpointOf(event);
  if (sealed === undefined)
    throw new BoxledgerError('Unavailable', `No checkpoint covers ${streamId} version ${version} yet.`, {
      help: 'Ask again when one has been signed; `boxledger audit status` tells of the last.',
    });
  const inclusion = openBatch(sealed).inclusionOf(event);
  if (inclusion === undefined)
    throw new BoxledgerError('InvalidState', `No checkpoint has signed ${streamId} version ${version}.`, {
      help: 'The log has been changed; `boxledger audit verify` says more.',
    });
  return { event, inclusion, signed: sealed.signed };
};

const find = async (source: StreamSource, streamId: string, version: string): Promise<AuditedEvent> => {
  for await (const page of source.stream(streamId, String(Number(version) - 1)))
    for (const event of page) if (event.version === version) return event;
  throw new BoxledgerError('NotFound', `There is no ${streamId} version ${version}.`);
};
