import { customAlphabet } from 'nanoid';
import * as ids from '../kernel/ids.ts';
import type { IdSource } from '../kernel/ports.ts';

const random = customAlphabet(ids.idAlphabet, ids.idLength);

export const randomIds: IdSource = {
  boxId: () => ids.boxId(`bx_${random()}`),
  execId: () => ids.execId(`ex_${random()}`),
  copyId: () => ids.copyId(`cp_${random()}`),
  hostId: () => ids.hostId(`hs_${random()}`),
  snapshotId: () => ids.snapshotId(`sn_${random()}`),
  exportId: () => ids.exportId(`xp_${random()}`),
  commandId: () => ids.commandId(`cm_${random()}`),
  correlationId: () => ids.correlationId(`co_${random()}`),
};
