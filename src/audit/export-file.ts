import type { KeyObject } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { BoxledgerError } from '../kernel/errors.ts';
import { boundedLines, unreadable } from './bounded-lines.ts';
import { type ExportLine, parseExportLine } from './export-line-parser.ts';
import type { ExportScope } from './export-lines.ts';
import type { AuditedEvent, LogPart, VerifiableLog } from './log-parts.ts';
import { readPublicKey } from './public-keys.ts';

const batchMax = 1_000;

/**
 * An export as a log that can be verified, read anew for each pass. What is not an export's line is refused, with its
 * number. A file that ends early, or counts otherwise than its last line says, is what `parts` tells by `cut`.
 */
export class ExportFile implements VerifiableLog {
  readonly scope: ExportScope;
  readonly #file: string;
  readonly #bytes: number;
  readonly #keys: readonly KeyObject[];
  #read = 0;
  /** What is missing at the end of the file, in words; known after a pass. */
  cut: string | undefined;

  private constructor(file: string, bytes: number, scope: ExportScope, keys: readonly KeyObject[]) {
    this.#file = file;
    this.#bytes = bytes;
    this.scope = scope;
    this.#keys = keys;
  }

  static async open(file: string): Promise<ExportFile> {
    const { size } = await stat(file).catch((error) => {
      throw unreadable(file, error);
    });
    const keys: KeyObject[] = [];
    let scope: ExportScope | undefined;
    for await (const line of linesOf(file, () => undefined)) {
      if (line.kind === 'header' && scope === undefined) scope = line.scope;
      else if (line.kind !== 'key') break;
      else keys.push(keyOf(file, line.key.publicKey));
      if (scope === undefined) break;
    }
    if (scope === undefined) throw refusal(file, 1, 'is not the first line of an export');
    return new ExportFile(file, size, scope, keys);
  }

  get fromSequence(): number {
    return this.scope.fromSequence;
  }

  get toSequence(): number | null {
    return this.scope.toSequence;
  }

  share(): number {
    return this.#bytes === 0 ? 1 : this.#read / this.#bytes;
  }

  async keys(): Promise<readonly KeyObject[]> {
    return this.#keys;
  }

  async *parts(): AsyncGenerator<LogPart> {
    this.#read = 0;
    let batch: AuditedEvent[] = [];
    const counts = { events: 0, checkpoints: 0 };
    let end: (ExportLine & { kind: 'end' }) | undefined;
    const onRead = (bytes: number) => {
      this.#read += bytes;
    };
    for await (const line of linesOf(this.#file, onRead)) {
      if (end !== undefined) throw refusal(this.#file, 'the last', 'is followed by others');
      if (line.kind === 'event') {
        counts.events += 1;
        if (this.scope.streamId !== null) yield* this.#single(line.event);
        else batch.push(line.event);
        if (batch.length < batchMax) continue;
      }
      if (batch.length > 0) yield { kind: 'events', events: batch };
      batch = [];
      if (line.kind === 'checkpoint') {
        counts.checkpoints += 1;
        yield line;
      } else if (line.kind === 'end') end = line;
    }
    if (batch.length > 0) yield { kind: 'events', events: batch };
    this.cut = cutText(counts, end);
  }

  /** In the extract of a stream, an event without a proof stands for itself, whatever checkpoint came before. */
  *#single(event: AuditedEvent): Generator<LogPart> {
    if (event.inclusion === undefined) yield { kind: 'uncovered' };
    yield { kind: 'events', events: [event] };
  }
}

async function* linesOf(file: string, onRead: (bytes: number) => void): AsyncGenerator<ExportLine> {
  let number = 0;
  for await (const lines of boundedLines(file, onRead))
    for (const text of lines) {
      number += 1;
      const line = parseExportLine(text);
      if (typeof line === 'string') throw refusal(file, number, line);
      if ((line.kind === 'header') !== (number === 1))
        throw refusal(
          file,
          number,
          number === 1 ? 'is not the first line of an export' : 'is a second first line',
        );
      yield line;
    }
}

const cutText = (
  counts: { events: number; checkpoints: number },
  end: (ExportLine & { kind: 'end' }) | undefined,
) => {
  if (end === undefined) return 'the file has no last line: it has been cut';
  if (end.events === counts.events && end.checkpoints === counts.checkpoints) return undefined;
  return (
    `the file's last line states ${end.events} events and ${end.checkpoints} checkpoints; ` +
    `it holds ${counts.events} and ${counts.checkpoints}`
  );
};

const keyOf = (file: string, hex: string): KeyObject => {
  const key = readPublicKey(hex);
  if (key === undefined) throw refusal(file, 'a', `holds ${hex}, which is no public key`);
  return key;
};

const refusal = (file: string, line: number | string, problem: string) =>
  new BoxledgerError(
    'InvalidArgument',
    typeof line === 'number' ? `${file}, line ${line}: ${problem}` : `${file}: ${line} line ${problem}`,
    { help: 'Give a file that `boxledger audit export` has written.' },
  );
