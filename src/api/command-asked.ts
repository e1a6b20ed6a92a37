import type { BoxRecord } from '../commands/event-store.ts';
import type { BoxCommand } from '../events/commands.ts';
import type { ApiDeps } from './api-deps.ts';
import { freeNames } from './disk-clone.ts';
import type { ExplainParsed } from './history-requests.ts';
import { madeUpSuffix } from './made-up.ts';

/** The command that the call of the same name would submit. */
export const commandAsked = async (
  deps: ApiDeps,
  asked: ExplainParsed,
  box: BoxRecord,
): Promise<BoxCommand> => {
  const { boxId } = box;
  const { stop, pause, resume, remove, restart, rename } = asked;
  if (stop !== undefined) return { type: 'box.stop', boxId, timeoutMs: stop.timeoutMs };
  if (pause !== undefined) return { type: 'box.pause', boxId, ...pause };
  if (resume !== undefined) return { type: 'box.resume', boxId };
  if (remove !== undefined) return { type: 'box.remove', boxId, force: remove.force };
  if (rename !== undefined) return { type: 'box.rename', boxId, name: rename.name };
  const toDisk = await diskCommandAsked(deps, asked, box);
  if (toDisk !== undefined) return toDisk;
  const placement = await deps.placement(box);
  return restart === undefined
    ? { type: 'box.start', boxId, placement }
    : { type: 'box.restart', boxId, placement, timeoutMs: restart.timeoutMs };
};

const consistency = 'best-effort';

const diskCommandAsked = async (
  deps: ApiDeps,
  asked: ExplainParsed,
  box: BoxRecord,
): Promise<BoxCommand | undefined> => {
  const { boxId } = box;
  const { snapshot, removeSnapshot, restore, clone } = asked;
  if (snapshot !== undefined) {
    const snapshotId = deps.ids.snapshotId();
    const name = snapshot.name ?? `snapshot-${madeUpSuffix(snapshotId, {})}`;
    return { type: 'box.snapshot', boxId, snapshotId, name, consistency };
  }
  if (removeSnapshot !== undefined)
    return { type: 'box.removeSnapshot', boxId, snapshot: removeSnapshot.snapshot };
  if (restore !== undefined) return { type: 'box.restore', boxId, snapshot: restore.snapshot };
  if (clone !== undefined) {
    const names = await freeNames(deps, box, clone);
    const clones = names.map((name) => ({ boxId: deps.ids.boxId(), name }));
    return { type: 'box.clone', boxId, clones, consistency };
  }
  return asked.export === undefined
    ? undefined
    : { type: 'box.export', boxId, exportId: deps.ids.exportId(), includeEnv: false, consistency };
};
