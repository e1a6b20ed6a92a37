import { createHash, type Hash } from 'node:crypto';
import type { z } from 'zod';
import { reusedRefusal, versionRefusal } from '../commands/command-refusals.ts';
import type { BoxRecord } from '../commands/event-store.ts';
import type { CopyInResponse, CopyOutResponse } from '../gen/boxledger/v1/box_service.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { boxStream, type CommandId } from '../kernel/ids.ts';
import { enterBox } from './admission.ts';
import type { ApiDeps } from './api-deps.ts';
import { findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { CopyRecord } from './copy-record.ts';
import type { CopyInParsed, copyOutSchema } from './requests.ts';

/**
 * Tar streams into and out of boxes, never whole in memory and never faster than the slower side. Each copy that was let
 * into a box has its end in the log, whatever that is.
 */

export const copyIn =
  (deps: ApiDeps) =>
  async (requests: AsyncGenerator<CopyInParsed, void>, scope: CallScope): Promise<CopyInResponse> => {
    const { mutation, box: reference, path, autoStart = true, ...given } = await headerOf(requests);
    const { commandId, reason, expectedVersion } = mutation;
    const options = { ...given, recursive: given.recursive ?? true };
    const { record, visit } = begin(deps, scope, { direction: 'in', path, reason, autoStart });
    const found = await findBox(deps, scope.caller.tenant, reference);
    const tar = tarOf(requests);
    const repeated = commandId && (await repetition(record, found, commandId, tar));
    if (repeated) return repeated;
    if (expectedVersion !== undefined && expectedVersion !== found.version)
      throw BoxledgerError.fromRefusal(
        versionRefusal(boxStream(found.boxId), found.version, expectedVersion),
      );
    const box = await enterBox(deps, found.boxId, visit, scope);
    const guest = await deps.guests.open(box);
    const hash = createHash('sha256');
    const { entries, bytes } = await guest
      .upload(path, options, hashed(tar, hash), scope.signal)
      .catch((error: unknown) => fail(record, box, error));
    await record.completed(box, { entries, bytes, sha256: hash.digest('hex') }, commandId);
    return { entries: BigInt(entries), bytes: BigInt(bytes), copyId: record.copyId };
  };

export const copyOut = (deps: ApiDeps) =>
  async function* (
    { box: reference, path, reason, autoStart = true, recursive = true, ...options }: CopyOutParsed,
    scope: CallScope,
  ): AsyncGenerator<CopyOutResponse> {
    const { record, visit } = begin(deps, scope, { direction: 'out', path, reason, autoStart });
    const box = await enterBox(deps, reference, visit, scope);
    const guest = await deps.guests.open(box);
    const hash = createHash('sha256');
    const archive = guest.download(path, { ...options, recursive }, scope.signal);
    let isRecorded = false;
    try {
      let next = await archive.next();
      for (; next.done !== true; next = await archive.next()) {
        hash.update(next.value);
        yield { tar: Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength) };
      }
      isRecorded = true;
      await record.completed(box, { ...next.value, sha256: hash.digest('hex') }, undefined);
    } catch (error) {
      if (isRecorded) throw error;
      isRecorded = true;
      await fail(record, box, scope.signal.aborted ? scope.signal.reason : error);
    } finally {
      // The caller has gone while a piece was on its way to it.
      if (!isRecorded) await record.failed(box, scope.signal.reason ?? leftEarly());
      await archive.return({ entries: 0, bytes: 0 });
    }
  };

type CopyOutParsed = z.infer<typeof copyOutSchema>;

interface Asked {
  readonly direction: 'in' | 'out';
  readonly path: string;
  readonly reason: string | undefined;
  readonly autoStart: boolean;
}

/** What the copy's event and a start that it needs have in common. */
const begin = (deps: ApiDeps, { caller }: CallScope, { direction, path, reason, autoStart }: Asked) => {
  const copyId = deps.ids.copyId();
  const correlationId = deps.ids.correlationId();
  return {
    record: new CopyRecord(deps, copyId, { ...caller, reason, correlationId }, { direction, path }),
    visit: { reason: 'copy', autoStart, correlationId, causationId: copyId } as const,
  };
};

/** The first answer, when this copy was made before under its command id. Whether it is this copy, its archive says. */
const repetition = async (
  record: CopyRecord,
  box: BoxRecord,
  commandId: CommandId,
  tar: AsyncIterable<Uint8Array>,
): Promise<CopyInResponse | undefined> => {
  const earlier = await record.earlier(box, commandId);
  if (earlier === undefined) return undefined;
  const hash = createHash('sha256');
  for await (const piece of tar) hash.update(piece);
  if (hash.digest('hex') !== earlier.sha256) throw BoxledgerError.fromRefusal(reusedRefusal(commandId));
  const { entries, bytes, copyId } = earlier;
  return { entries: BigInt(entries), bytes: BigInt(bytes), copyId };
};

const headerOf = async (requests: AsyncGenerator<CopyInParsed, void>) => {
  const first = await requests.next();
  const header = first.done === true ? undefined : first.value.header;
  if (header === undefined) throw fault('header', 'must be the first request');
  return header;
};

async function* tarOf(requests: AsyncGenerator<CopyInParsed, void>): AsyncGenerator<Uint8Array> {
  for await (const { tar, header } of requests) {
    if (tar === undefined)
      throw header === undefined
        ? fault('message', 'must be set')
        : fault('header', 'must be the first request only');
    yield tar;
  }
}

async function* hashed(tar: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of tar) {
    hash.update(piece);
    yield piece;
  }
}

/** Records the failure, and throws it as one that says which copy it is about. */
const fail = async (record: CopyRecord, box: BoxRecord, cause: unknown): Promise<never> => {
  await record.failed(box, cause);
  if (!(cause instanceof BoxledgerError)) throw cause;
  const { boxId, name } = box;
  const { code, message, help, faults } = cause;
  const details = { ...cause.details, copyId: record.copyId, boxId, name };
  throw new BoxledgerError(code, message, { help, faults, details, cause });
};

const leftEarly = () => new BoxledgerError('Unavailable', 'The caller went away.');

const fault = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));
