import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { BoxledgerError } from '../../kernel/errors.ts';
import type { BoxArchive } from '../../sdk/disks.ts';
import { addBoxFlags, type BoxFlags, boxOptionsValue, consistencyValue } from '../box-flags.ts';
import { byteText } from '../byte-text.ts';
import { mutationValue, nameValue } from '../flag-values.ts';
import {
  addConnectionFlags,
  addConsistencyFlag,
  addMutationFlags,
  addVersionFlag,
  type MutationFlags,
  withExamples,
} from '../flags.ts';
import type { CliIo } from '../io.ts';
import { numberJson } from '../json-values.ts';
import { withBar } from '../operation-bar.ts';
import { type ConnectionFlags, inSession, type Session } from '../session.ts';
import { visible } from '../visible.ts';

interface ExportFlags extends ConnectionFlags, MutationFlags {
  readonly output?: string;
  readonly includeEnv?: boolean;
  readonly consistency?: string;
}

export const exportCommand = (io: CliIo): Command => {
  const command = new Command('export')
    .description('write a box as a file: its options and its disk, with checksums')
    .argument('<box>', 'name, id or prefix of the box')
    .option('-o, --output <file>', 'file to write, - for standard output (default)')
    .option('--include-env', 'with the values of its environment, which may be secrets');
  addConnectionFlags(addVersionFlag(addMutationFlags(addConsistencyFlag(command))));
  command.action((box: string, flags: ExportFlags) =>
    inSession(io, flags, {
      name: 'export',
      read: (faults) => {
        const file = flags.output === '-' ? undefined : flags.output;
        if (file === undefined && flags.json) faults.add('--json', 'has no place where the archive goes');
        if (file === undefined && io.stdout.isTTY === true)
          faults.add('--output', 'must name a file: standard output is a terminal');
        return {
          ...mutationValue(faults, flags),
          file,
          includeEnv: flags.includeEnv === true,
          consistency: consistencyValue(faults, flags.consistency),
        };
      },
      work: async (session, { file, ...asked }) => {
        const { client, signal } = session;
        const archive = await withBar(session, (onProgress) =>
          client.disks.export(box, { ...asked, signal, onProgress }),
        );
        try {
          await writeArchive(session, archive, file);
        } finally {
          await archive.close();
        }
        return 0;
      },
    }),
  );
  return withExamples(
    command,
    'boxledger export web -o web.boxledger',
    'boxledger export web | ssh elsewhere boxledger import -',
  );
};

const writeArchive = async (session: Session, archive: BoxArchive, file: string | undefined) => {
  const { io, json, output, signal } = session;
  await withBar(session, async (onProgress) => {
    const bytes = counted(archive.bytes, (done) => onProgress(done, Number(archive.sizeBytes)));
    if (file === undefined) for await (const piece of bytes) await output.bytes('stdout', piece);
    else await writeWholeFile(resolve(io.workingDir, file), bytes, signal);
  });
  const { exportId, sizeBytes, sha256, consistency } = archive;
  if (json)
    await output.json({
      file: file ?? null,
      exportId,
      sizeBytes: numberJson(sizeBytes),
      sha256,
      consistency,
    });
  else if (file !== undefined)
    await output.line(`${visible(file)}  ${byteText(Number(sizeBytes))}  sha256:${sha256}`);
};

/** The file is there whole, or not at all, or as it was. */
const writeWholeFile = async (path: string, bytes: AsyncIterable<Uint8Array>, signal: AbortSignal) => {
  const draft = `${path}.part`;
  try {
    await pipeline(bytes, createWriteStream(draft, { mode: 0o600, flush: true }), { signal });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw ownFile(error, path);
  }
};

const ownFile = (error: unknown, path: string): unknown =>
  error instanceof Error && 'errno' in error
    ? new BoxledgerError('InvalidArgument', `${path}: ${error.message}`, {
        help: 'Name a file that can be read or written.',
        cause: error,
      })
    : error;

interface ImportFlags extends BoxFlags, ConnectionFlags, MutationFlags {
  readonly name?: string;
}

export const importCommand = (io: CliIo): Command => {
  const command = new Command('import')
    .description('make a box, stopped, of an exported one, and print its id; options go before the archive’s')
    .argument('<file>', 'box archive, or - for standard input')
    .option('--name <name>', 'the box’s name (default: that of the box that was exported)');
  addConnectionFlags(addMutationFlags(addBoxFlags(command)));
  command.action((file: string, flags: ImportFlags) =>
    inSession(io, flags, {
      name: 'import',
      read: async (faults) => {
        const { commandId, reason } = mutationValue(faults, flags);
        const name = nameValue(faults, '--name', flags.name);
        return { commandId, reason, name, options: await boxOptionsValue(faults, flags, io) };
      },
      work: async (session, asked) => {
        const { client, signal } = session;
        const archive: Readable = file === '-' ? io.stdin : createReadStream(resolve(io.workingDir, file));
        const box = await withBar(session, (onProgress) =>
          client.disks.import(addAbortSignal(signal, archive), {
            ...asked,
            signal,
            onSent: (bytes) => onProgress(bytes),
          }),
        ).catch((error: unknown) => {
          throw ownFile(error, file);
        });
        await session.printBox(box, visible(box.boxId));
        return 0;
      },
    }),
  );
  return withExamples(command, 'boxledger import web.boxledger --name web2 -e STAGE=test');
};

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  count: (done: number) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const piece of bytes) {
    done += piece.length;
    count(done);
    yield piece;
  }
}
