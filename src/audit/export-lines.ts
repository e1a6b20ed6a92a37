import { BoxledgerError } from '../kernel/errors.ts';
import { checkpointLine } from './checkpoint-sink.ts';
import type { AuditedEvent, LogPart } from './log-parts.ts';

/** What of a log an export holds. */
export interface ExportScope {
  /** One stream; null: all. */
  readonly streamId: string | null;
  /** First checkpoint whose events are in it. */
  readonly fromSequence: number;
  /** Last one; null: to the log's end, with what no checkpoint covers yet. */
  readonly toSequence: number | null;
}

/** A public key with the checkpoints it signed. */
export interface ExportKey {
  readonly keyId: string;
  readonly publicKey: string;
  readonly firstSequence: number | null;
  readonly lastSequence: number | null;
}

export const exportFormat = 'boxledger-export/1';

/** The export as text, some lines at a time; docs/log-format.md says what they are. */
export async function* exportLines(
  scope: ExportScope,
  keys: readonly ExportKey[],
  parts: AsyncIterable<LogPart>,
): AsyncGenerator<string, { readonly events: number; readonly checkpoints: number }> {
  yield `${JSON.stringify({ kind: 'header', format: exportFormat, scope })}\n`;
  for (const { keyId, publicKey, firstSequence, lastSequence } of keys)
    yield `${JSON.stringify({ kind: 'key', keyId, publicKey, firstSequence, lastSequence })}\n`;
  let [events, checkpoints] = [0, 0];
  for await (const part of parts) {
    if (part.kind === 'events') {
      events += part.events.length;
      yield part.events.map(eventLine).join('');
    } else if (part.kind === 'checkpoint') {
      checkpoints += 1;
      yield checkpointLine(part.signed);
    }
  }
  yield `${JSON.stringify({ kind: 'end', events, checkpoints })}\n`;
  return { events, checkpoints };
}

/** Without the line's end: also the `event` of a proof. */
export const eventJson = (event: AuditedEvent): string => {
  const { transactionId, position, hash, envelope, previousHash, streamId, version } = event;
  if (envelope === undefined)
    throw new BoxledgerError('InvalidState', `${streamId} version ${version} cannot be exported`, {
      help: 'It has been changed into what no JSON text can say for certain; `boxledger audit verify` names it.',
    });
  const place = `"transactionId":"${transactionId}","position":"${position}"`;
  const previous = previousHash === undefined ? '' : `,"previousHash":"${previousHash}"`;
  return `"kind":"event",${place}${previous},"hash":"${hash}","envelope":${envelope}`;
};

const eventLine = (event: AuditedEvent): string => {
  const { inclusion } = event;
  const proof = inclusion === undefined || inclusion === null ? '' : `,"proof":${JSON.stringify(inclusion)}`;
  return `{${eventJson(event)}${proof}}\n`;
};
