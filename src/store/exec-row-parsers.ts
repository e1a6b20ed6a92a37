import { z } from 'zod';
import { boxIdSchema, execIdSchema, tenantIdSchema } from '../events/schemas.ts';
import type { BoxId, ExecId, TenantId } from '../kernel/ids.ts';
import type { Timestamp } from '../kernel/time.ts';
import { rowParser, timeColumn } from './row-parsers.ts';

export const parseOpenExec: (row: unknown) => { execId: ExecId; tenant: TenantId; boxId: BoxId } = rowParser(
  'open exec',
  z
    .object({ exec_id: execIdSchema, tenant: tenantIdSchema, box_id: boxIdSchema })
    .transform((row) => ({ execId: row.exec_id, tenant: row.tenant, boxId: row.box_id })),
);

export const parseLastUse: (row: unknown) => { boxId: BoxId; lastUsedAt: Timestamp | null } = rowParser(
  'the last use of a box',
  z
    .object({ box_id: boxIdSchema, last_used_at: timeColumn.nullable() })
    .transform((row) => ({ boxId: row.box_id, lastUsedAt: row.last_used_at })),
);

export const parseExecCounts = rowParser(
  'counts of execs',
  z.object({ execs: z.int().nonnegative(), errors: z.int().nonnegative() }),
);

export const parseListedExec: (row: unknown) => { execId: ExecId; requestedAt: Timestamp } = rowParser(
  'exec of a box',
  z
    .object({ exec_id: execIdSchema, requested_at: timeColumn })
    .transform((row) => ({ execId: row.exec_id, requestedAt: row.requested_at })),
);
