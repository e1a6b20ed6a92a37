import { BoxledgerError } from '../kernel/errors.ts';
import type { BoxId, ExportId, SnapshotId } from '../kernel/ids.ts';

/** What every driver says when work on a disk cannot be done. */

export const noDisk = (boxId: BoxId): BoxledgerError =>
  new BoxledgerError('NotFound', `box ${boxId} has no disk`, { help: 'Start it once.' });

export const boxRuns = (boxId: BoxId): BoxledgerError =>
  new BoxledgerError('InvalidState', `box ${boxId} runs`, { help: 'Stop it first.' });

export const noSnapshot = (boxId: BoxId, snapshotId: SnapshotId): BoxledgerError =>
  new BoxledgerError('NotFound', `box ${boxId} has no snapshot ${snapshotId}`, {
    help: 'List the snapshots of the box.',
  });

export const noExport = (exportId: ExportId): BoxledgerError =>
  new BoxledgerError('NotFound', `there is no export ${exportId} on this host`, {
    help: 'Export the box again.',
  });

export const otherDisk = (boxId: BoxId): BoxledgerError =>
  new BoxledgerError('AlreadyExists', `box ${boxId} has a disk already`, {
    help: 'Make the disk for a new box; nothing is ever written over one.',
  });
