import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { AuditSource } from '../audit/audit-source.ts';
import type { SignedCheckpoint } from '../audit/checkpoint.ts';
import { parseExportLine } from '../audit/export-line-parser.ts';
import { KeyRing, parsePublicKeyFile } from '../audit/public-keys.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { serveOptions } from './commands/serve.ts';
import type { CliIo } from './io.ts';
import type { ServeFlags } from './serve-options.ts';
import type { ServerCommands } from './server-commands.ts';
import type { Run } from './session.ts';

/** What the audit commands share: the log, and the files that they are given. */

export const withSource = async <Result>(
  io: CliIo,
  server: ServerCommands,
  flags: ServeFlags,
  work: (source: AuditSource) => Promise<Result>,
): Promise<Result> => {
  const source = await server.audit(await serveOptions(flags, io));
  try {
    return await work(source);
  } finally {
    await source.close();
  }
};

/** The keys of the files; undefined when none are given. */
export const keyRingOf = async (io: CliIo, files: readonly string[]): Promise<KeyRing | undefined> => {
  if (files.length === 0) return undefined;
  const keys = [];
  for (const file of files) keys.push(parsePublicKeyFile(file, await textOf(io, file)));
  return new KeyRing(keys, true);
};

/** A checkpoint as a sink has received it. */
export const checkpointIn = async (io: CliIo, file: string): Promise<SignedCheckpoint> => {
  const line = parseExportLine((await textOf(io, file)).trim());
  if (typeof line !== 'string' && line.kind === 'checkpoint') return line.signed;
  throw new BoxledgerError('InvalidArgument', `${file} holds no checkpoint`, {
    help: 'Give a file as the file sink writes it, or the checkpoint line of an export.',
  });
};

const fileMaxBytes = 16 * 1024 * 1024;

export const textOf = async ({ workingDir }: CliIo, file: string): Promise<string> => {
  const bytes = await readFile(resolve(workingDir, file)).catch((cause: NodeJS.ErrnoException) => {
    throw new BoxledgerError('InvalidArgument', `${file} cannot be read (${cause.code})`, { cause });
  });
  if (bytes.length > fileMaxBytes)
    throw new BoxledgerError('InvalidArgument', `${file} is larger than ${fileMaxBytes} bytes`);
  return bytes.toString();
};

/** Writes text to the file, or to standard output when there is none. */
export const writeTo = async (
  { io, output, signal }: Run,
  file: string | undefined,
  texts: AsyncIterable<string> | Iterable<string>,
): Promise<void> => {
  if (file === undefined) {
    for await (const text of texts) await output.bytes('stdout', text);
    return;
  }
  const stream = createWriteStream(resolve(io.workingDir, file));
  const failed = once(stream, 'close').then(() => undefined); // rejects with the stream's error
  failed.catch(() => undefined); // heard below
  for await (const text of texts) {
    signal.throwIfAborted();
    // Not a race of both: that would leave something at `failed` each time.
    if (!stream.write(text)) await (stream.errored === null ? once(stream, 'drain') : failed);
  }
  stream.end();
  await failed.catch((cause: NodeJS.ErrnoException) => {
    throw new BoxledgerError('InvalidArgument', `${file} cannot be written (${cause.code})`, { cause });
  });
};
