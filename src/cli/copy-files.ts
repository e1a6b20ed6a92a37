import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { BoxledgerError } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { asksForDirectory } from '../tar/asks-for-directory.ts';
import { asCopied } from '../tar/destination.ts';
import { pack } from '../tar/pack.ts';
import { unpack } from '../tar/unpack.ts';
import { byteText } from './byte-text.ts';
import { type CopyEnd, meansContent } from './copy-end.ts';
import { numberJson } from './json-values.ts';
import { ProgressBar } from './progress-bar.ts';
import type { Session } from './session.ts';

type BoxEnd = Extract<CopyEnd, { kind: 'box' }>;

/** What is copied, from where and how. One end at least is in a box. */
export type CopyPlan = { readonly options: CopyOptions } & (
  | { readonly from: BoxEnd; readonly to: CopyEnd }
  | { readonly from: CopyEnd; readonly to: BoxEnd }
);

interface CopyOptions {
  readonly archive: boolean;
  readonly followLink: boolean;
  readonly overwrite: boolean;
  readonly quiet: boolean;
  readonly autoStart: false | undefined;
  readonly reason: string | undefined;
  readonly commandId: string | undefined;
}

/** Copies as a tar stream that is nowhere whole in memory. What is broken off leaves nothing at the destination. */
export const copyFiles = async (session: Session, plan: CopyPlan): Promise<void> => {
  const { io, json, output } = session;
  const { quiet } = plan.options;
  const bar = new ProgressBar(io.stderr, byteText, !json && !quiet);
  const result = await copied(session, plan, bar).finally(() => bar.end());
  if (result === undefined) return;
  if (json) return output.json(result);
  const { entries, bytes } = result;
  if (!quiet && io.stderr.isTTY === true)
    io.stderr.write(`copied ${entries} ${entries === 1 ? 'entry' : 'entries'}, ${byteText(Number(bytes))}\n`);
};

/** Undefined when standard output is the archive's. */
const copied = async (
  session: Session,
  { from, to, options }: CopyPlan,
  bar: ProgressBar,
): Promise<JsonObject | undefined> => {
  const { io, client, signal, output } = session;
  const { archive: keepOwners, overwrite, autoStart, reason, commandId } = options;
  if (to.kind === 'box') {
    const { tar, size, renameRoot } = await sourceOf(session, from, options);
    const given = { overwrite, renameRoot, keepOwners, autoStart, reason, commandId, signal };
    const done = await client.copyIn(to.box, to.path, counted(tar, bar, size), given);
    return { entries: numberJson(done.entries), bytes: numberJson(done.bytes), copyId: done.copyId };
  }
  const { tar } = await sourceOf(session, from, options);
  if (to.kind === 'stream') {
    for await (const piece of counted(tar, bar)) await output.bytes('stdout', piece);
    return undefined;
  }
  const path = resolve(io.workingDir, to.path);
  const destination = await asCopied(path, asksForDirectory(to.path));
  const { entries, bytes } = await unpack(counted(tar, bar), destination, {
    overwrite,
    keepOwners,
    recursive: true,
  });
  return { entries, bytes, copyId: null };
};

interface Source {
  readonly tar: AsyncIterable<Uint8Array>;
  /** Bytes of content, where that is known before. */
  readonly size?: number | undefined;
  readonly renameRoot: boolean;
}

const sourceOf = async (
  { io, client, signal }: Session,
  from: CopyEnd,
  { followLink, autoStart, reason }: CopyOptions,
): Promise<Source> => {
  switch (from.kind) {
    case 'stream':
      return { tar: addAbortSignal(signal, io.stdin), renameRoot: false };
    case 'local': {
      const path = resolve(io.workingDir, from.path);
      const name = meansContent(from.path) ? '.' : basename(path) || '.';
      const source = asksForDirectory(from.path) ? 'directory' : followLink ? 'followed' : 'as-it-is';
      const tar = pack(path, () => name, { followLinks: false, source, recursive: true });
      return { tar, size: await fileSize(path), renameRoot: true };
    }
    case 'box': {
      const includeParent = !meansContent(from.path);
      const given = { includeParent, followSource: followLink, autoStart, reason, signal };
      return { tar: client.copyOut(from.box, from.path, given), renameRoot: true };
    }
    default:
      return from satisfies never;
  }
};

/** Undefined for anything but a file: what is in a directory is known only once it has been read. */
const fileSize = (path: string): Promise<number | undefined> =>
  stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined, // packing it will say what is wrong
  );

async function* counted(
  tar: AsyncIterable<Uint8Array>,
  bar: ProgressBar,
  size?: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of tar) {
    bytes += piece.length;
    bar.update(size && bytes / size, bytes);
    yield piece;
  }
}

/** A terminal is no place for an archive, in either direction. */
export const checkStreams = ({ io }: Session, { from, to }: CopyPlan): void => {
  const stream =
    from.kind === 'stream' && io.stdin.isTTY === true
      ? 'standard input'
      : to.kind === 'stream' && io.stdout.isTTY === true
        ? 'standard output'
        : undefined;
  if (stream !== undefined)
    throw new BoxledgerError('InvalidArgument', `${stream} is a terminal, and - stands for a tar archive`, {
      help: 'Give it a file or a pipe.',
    });
};
