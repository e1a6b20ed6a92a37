import { createHash } from 'node:crypto';
import type { RecordedEvent } from '../events/envelope.ts';
import type { UnpackedArchive } from '../events/unpacked-archive.ts';
import type { ImportResponse } from '../gen/boxledger/v1/disk_service.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { type BoxId, boxStream, noVersion, boxId as parseBoxId } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import { type AcceptedForBox, forBox, metaOf, submit } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import type { ImportParsed } from './disk-requests.ts';
import { encodeBox } from './encode.ts';
import { idTextOf } from './made-up.ts';
import { archivedOptions } from './option-requests.ts';

/**
 * Makes a box of an archive: unpacked and checked to the last byte first, recorded then. Under a command id the box's own id
 * follows from that one, so that a repeated import finds what the one before it has unpacked or recorded.
 */
export const importBox =
  (deps: ApiDeps) =>
  async (requests: AsyncGenerator<ImportParsed, void>, scope: CallScope): Promise<ImportResponse> => {
    const first = await requests.next();
    const header = first.done === true ? undefined : first.value.header;
    if (header === undefined) throw fault('header', 'must be the first request');
    const { commandId } = header.mutation;
    const boxId = commandId === undefined ? deps.ids.boxId() : parseBoxId(`bx_${idTextOf(commandId)}`);
    const archive = new ArchiveInput(requests);
    const record = recordOf(deps, boxId, header, scope);
    const earlier = await createdBefore(deps, boxId);
    const { view, version } =
      earlier === undefined
        ? await deps.archives.import(boxId, archive.bytes(), scope.signal, async (unpacked) => {
            const { sha256 } = await archive.rest();
            if (sha256 !== unpacked.sha256) throw anotherArchive();
            return record(unpacked);
          })
        : await record({ ...earlier, ...(await archive.rest()) });
    return { box: encodeBox(view, version) };
  };

type Header = NonNullable<ImportParsed['header']>;

const recordOf =
  (deps: ApiDeps, boxId: BoxId, { mutation, name, options }: Header, { caller }: CallScope) =>
  async (unpacked: UnpackedArchive): Promise<AcceptedForBox> => {
    const { sha256, sizeBytes, placement } = unpacked;
    return forBox(
      await submit(
        deps,
        {
          type: 'box.import',
          boxId,
          name: name ?? unpacked.name,
          options: archivedOptions(unpacked.options, options, deps.capacity),
          placement,
          archive: { sha256, sizeBytes },
        },
        { ...metaOf(caller, mutation), expectedVersion: undefined },
      ),
    );
  };

/** The box as it was made by the same command: whether this one asks for the same is then for the door to say. */
const createdBefore = async (
  deps: ApiDeps,
  boxId: BoxId,
): Promise<Omit<UnpackedArchive, 'sha256' | 'sizeBytes'> | undefined> => {
  const [event]: readonly (RecordedEvent | undefined)[] = await deps.log.readStream(
    boxStream(boxId),
    noVersion,
    1,
  );
  if (event?.type !== 'box.created' || event.data.origin === undefined) return undefined;
  const { name, options, origin } = event.data;
  return { name, options: JSON.parse(JSON.stringify(options)), placement: origin.placement };
};

/** The archive as it comes in; what it comes to is known once all of it has. */
class ArchiveInput {
  readonly #requests: AsyncGenerator<ImportParsed, void>;
  readonly #hash = createHash('sha256');
  #sizeBytes = 0;

  constructor(requests: AsyncGenerator<ImportParsed, void>) {
    this.#requests = requests;
  }

  async *bytes(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = await this.#requests.next();
      if (next.done === true) return;
      const { chunk, header } = next.value;
      if (chunk === undefined)
        throw header === undefined
          ? fault('message', 'must be set')
          : fault('header', 'must be the first request only');
      this.#hash.update(chunk);
      this.#sizeBytes += chunk.byteLength;
      yield chunk;
    }
  }

  /** Reads on to the end where nobody has: an archive that was unpacked before is not unpacked again. */
  async rest(): Promise<{ readonly sha256: string; readonly sizeBytes: number }> {
    for await (const _ of this.bytes());
    return { sha256: this.#hash.digest('hex'), sizeBytes: this.#sizeBytes };
  }
}

/** One was unpacked under this command id and not recorded; the log must not say of its disk that it is of this one. */
const anotherArchive = () =>
  new BoxledgerError('Conflict', 'An import of another archive was begun under this command id.', {
    help: 'Use a new command id.',
  });

const fault = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));
