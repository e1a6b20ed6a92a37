import type { BoxDirectory, BoxRecord } from '../commands/event-store.ts';
import type { BoxView } from '../events/box-view.ts';
import type { BoxId, HostId, TenantId, Version } from '../kernel/ids.ts';
import { limits } from '../kernel/limits.ts';

/** A box, and the version of its stream that this is the fold of. */
export interface PresentBox {
  readonly view: BoxView;
  readonly version: Version;
}

/** What the log says of boxes, as a host asks for it. Throws `Unavailable` when the database cannot be reached. */
export interface HostBoxes {
  /** The boxes placed on the host that have not been removed. */
  placedOn(hostId: HostId): Promise<readonly PresentBox[]>;
  /** Also of a removed box; undefined when the log has never heard of it. */
  view(boxId: BoxId): Promise<BoxView | undefined>;
  /** As `view`. */
  present(boxId: BoxId): Promise<PresentBox | undefined>;
}

/** From the directory of the one tenant that there is: of another's box the host would know nothing, and end it. */
export const directoryBoxes = (directory: BoxDirectory, tenant: TenantId): HostBoxes => {
  const find = async (boxId: BoxId): Promise<BoxRecord | undefined> => {
    const found = await directory.find(tenant, boxId);
    return found.kind === 'found' ? found.box : undefined;
  };
  return {
    placedOn: async (hostId) => {
      const placed: PresentBox[] = [];
      let token = '';
      do {
        const page = await directory.list(tenant, {}, { size: limits.pageSizeMax, token });
        for (const box of page.boxes) if (box.hostId === hostId) placed.push(box);
        token = page.nextPageToken;
      } while (token !== '');
      return placed;
    },
    view: async (boxId) => (await find(boxId))?.view,
    present: find,
  };
};
