import type { Box, Snapshot } from '../gen/boxledger/v1/box.ts';
import {
  GetSnapshotRequest,
  type GetSnapshotResponse,
  type ListSnapshotsResponse,
  type RemoveSnapshotResponse,
} from '../gen/boxledger/v1/disk_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { type BoxArchive, exportBox, type ImportOptions, importBox } from './box-archives.ts';
import { boxOf } from './box-of.ts';
import { type CallOptions, type ChangeOptions, type Channel, callUnary, mutationOf } from './channel.ts';
import { type OperationOptions, operation } from './operation.ts';

export type { BoxArchive, ImportOptions, OperationOptions, Snapshot };

/** `required`: refused where the file systems of a box that runs cannot be frozen. */
export type Consistency = 'best-effort' | 'required';

export interface CopyingOptions extends OperationOptions {
  readonly consistency?: Consistency | undefined;
}

/**
 * What is done to disks. Each resolves once it has come about; aborting ends the waiting, and what was asked for goes on,
 * but for an import. A snapshot goes by its name or id.
 */
export interface DiskClient {
  createSnapshot(
    box: string,
    options?: CopyingOptions & { readonly name?: string | undefined },
  ): Promise<{ readonly box: Box; readonly snapshot: Snapshot }>;
  /** Oldest first. */
  listSnapshots(box: string, options?: CallOptions): Promise<readonly Snapshot[]>;
  getSnapshot(box: string, snapshot: string, options?: CallOptions): Promise<Snapshot>;
  removeSnapshot(box: string, snapshot: string, options?: ChangeOptions): Promise<Box>;
  restoreSnapshot(box: string, snapshot: string, options?: OperationOptions): Promise<Box>;
  /** By names, or as many as `count` says (1), whose names are made up. */
  clone(
    box: string,
    options?: CopyingOptions & {
      readonly names?: readonly string[] | undefined;
      readonly count?: number | undefined;
    },
  ): Promise<{ readonly box: Box; readonly clones: readonly Box[] }>;
  /** Resolves once the archive is made. Its bytes are to be read, once, or given up by `close`. */
  export(
    box: string,
    options?: CopyingOptions & { readonly includeEnv?: boolean | undefined },
  ): Promise<BoxArchive>;
  /** Makes a box, stopped, of an archive; reads of it only what the server takes. */
  import(archive: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<Box>;
}

export const openDisks = (channel: Channel): DiskClient => {
  const { disks } = channel;
  return {
    createSnapshot: async (box, { name = '', consistency, ...to } = {}) => {
      const request = { mutation: mutationOf(to), box, name, consistency };
      const created = await operation(channel, to, 'created', (...start) =>
        disks.createSnapshot(request, ...start),
      );
      return { box: boxOf(created.box), snapshot: snapshotOf(created.snapshot) };
    },
    listSnapshots: async (box, to = {}) =>
      (
        await callUnary<ListSnapshotsResponse>(channel, to, (...rest) =>
          disks.listSnapshots({ box }, ...rest),
        )
      ).snapshots,
    getSnapshot: async (box, snapshot, to = {}) => {
      const request = GetSnapshotRequest.create({ box, snapshot });
      return snapshotOf(
        (await callUnary<GetSnapshotResponse>(channel, to, (...rest) => disks.getSnapshot(request, ...rest)))
          .snapshot,
      );
    },
    removeSnapshot: async (box, snapshot, to = {}) => {
      const request = { mutation: mutationOf(to), box, snapshot };
      return boxOf(
        (
          await callUnary<RemoveSnapshotResponse>(channel, to, (...rest) =>
            disks.removeSnapshot(request, ...rest),
          )
        ).box,
      );
    },
    restoreSnapshot: async (box, snapshot, to = {}) => {
      const request = { mutation: mutationOf(to), box, snapshot };
      const restored = await operation(channel, to, 'restored', (...start) =>
        disks.restoreSnapshot(request, ...start),
      );
      return boxOf(restored.box);
    },
    clone: async (box, { names = [], count = 0, consistency, ...to } = {}) => {
      const request = { mutation: mutationOf(to), box, names: [...names], count, consistency };
      const cloned = await operation(channel, to, 'cloned', (...start) => disks.clone(request, ...start));
      return { box: boxOf(cloned.box), clones: cloned.clones };
    },
    export: (box, { includeEnv = false, consistency, ...to } = {}) =>
      exportBox(channel, to, { mutation: mutationOf(to), box, includeEnv, consistency }),
    import: (archive, options = {}) => importBox(channel, archive, options),
  };
};

const snapshotOf = (snapshot: Snapshot | undefined): Snapshot => {
  if (snapshot !== undefined) return snapshot;
  throw new BoxledgerError('Internal', 'the server answered without the snapshot', {
    help: 'Use a client and a server of the same version.',
  });
};
