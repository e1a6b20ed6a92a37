import type { AuditStatus } from '../audit/audit-source.ts';
import { readCheckpoint } from '../audit/checkpoint.ts';
import type { ExportKey } from '../audit/export-lines.ts';
import type { Finding } from '../audit/findings.ts';
import type { Verdict } from '../audit/verdict.ts';
import type { JsonObject } from '../kernel/json.ts';
import { grouped } from './progress-bar.ts';
import { table } from './table.ts';
import { visible } from './visible.ts';

export const verdictJson = (verdict: Verdict): JsonObject => ({
  ok: verdict.findings.length === 0,
  events: verdict.events,
  unsealed: verdict.unsealed,
  checkpoints: verdict.checkpoints,
  archived: { ...verdict.archived, files: [...verdict.archived.files] },
  lastCheckpoint: verdict.last === null ? null : { ...verdict.last.checkpoint, hash: verdict.last.hash },
  keysTrusted: verdict.keysTrusted,
  findings: verdict.findings.map(({ kind, event, checkpoint, detail }) => ({
    kind,
    event: event === null ? null : { ...event },
    checkpoint,
    detail,
  })),
  findingsBeyond: verdict.findingsBeyond,
});

export const verdictLines = (verdict: Verdict): readonly string[] => {
  const { events, unsealed, checkpoints, archived, last, keysTrusted, findings, findingsBeyond } = verdict;
  const isWhole = archived.files.length === 0;
  const newest = last?.checkpoint;
  return [
    ...findings.map(findingLine),
    ...(findingsBeyond === 0 ? [] : [`… and ${grouped(findingsBeyond)} more`]),
    `${counted(events, 'event')}, ${counted(checkpoints, 'checkpoint')}` +
      (newest === undefined
        ? ''
        : `; the last, ${newest.sequence}, was signed at ${newest.time} by key ${newest.keyId}`),
    ...(unsealed === 0
      ? []
      : [`Not signed yet: ${counted(unsealed, 'event')}, bound by their hashes alone.`]),
    ...(isWhole
      ? []
      : [
          `Not verified: ${counted(archived.events, 'event')} in archives that were not given (${visible(filesText(archived.files))}); ` +
            'of them only the checkpoints were. Give their directory with --archive.',
        ]),
    ...(keysTrusted || checkpoints === 0
      ? []
      : ['The public keys are those that the log itself names; give --key to trust only your own.']),
    findings.length > 0
      ? 'NOT OK: the log has been changed.'
      : `OK: ${isWhole ? 'the log' : 'what was looked at'} is as it was written.`,
  ];
};

const filesText = (files: readonly string[]): string =>
  files.length < 3 ? files.join(', ') : `${files[0]} and ${files.length - 1} more`;

const counted = (count: number, what: string): string => `${grouped(count)} ${what}${count === 1 ? '' : 's'}`;

const findingLine = ({ kind, event, checkpoint, detail }: Finding): string => {
  const position = event?.position == null ? '' : ` at position ${event.position}`;
  const what = event === null ? [] : [`${event.streamId} version ${event.version}${position}`];
  const by = checkpoint === null ? [] : [`checkpoint ${checkpoint}`];
  return `${kind.toUpperCase().padEnd(10)} ${visible([...what, ...by, detail].join(': '))}`;
};

export const statusJson = (
  { last, unsealed, sinks }: AuditStatus,
  keys: readonly ExportKey[],
): JsonObject => ({
  lastCheckpoint: last === undefined ? null : JSON.parse(last.body),
  unsealed,
  keys: keys.map((key) => ({ ...key })),
  sinks: sinks.map(({ sink, sentSequence, failingSince, lastError }) => ({
    sink,
    sentSequence,
    failingSince: failingSince?.toISOString() ?? null,
    lastError,
  })),
});

export const statusLines = ({ last, unsealed, sinks }: AuditStatus): readonly string[] => {
  const checkpoint = last && readCheckpoint(last.body);
  const first =
    typeof checkpoint === 'object'
      ? `checkpoint ${checkpoint.sequence} of ${checkpoint.time} covers ${counted(checkpoint.total, 'event')}`
      : (checkpoint ?? 'there is no checkpoint yet');
  const lines = sinks.map(({ sink, sentSequence, failingSince, lastError }) =>
    visible(
      failingSince === null
        ? `sink ${sink} has everything up to checkpoint ${sentSequence}`
        : `sink ${sink} FAILS since ${failingSince.toISOString()}, has up to ${sentSequence}: ${lastError}`,
    ),
  );
  return [first, `${counted(unsealed, 'event')} not signed yet`, ...lines];
};

export const keyTable = (keys: readonly ExportKey[]): string =>
  table(
    ['KEY', 'CHECKPOINTS', 'PUBLIC KEY'],
    keys.map(({ keyId, publicKey, firstSequence, lastSequence }) => [
      keyId,
      firstSequence === null ? 'none yet' : `${firstSequence}–${lastSequence}`,
      publicKey,
    ]),
  );
