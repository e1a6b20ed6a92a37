import type { z } from 'zod';
import type { ExportHeader, ExportResponse } from '../gen/boxledger/v1/disk_service.ts';
import { assert } from '../kernel/assert.ts';
import { limits } from '../kernel/limits.ts';
import type { ApiDeps } from './api-deps.ts';
import { boxById, findBox } from './box-access.ts';
import type { CallScope } from './call-scope.ts';
import { carriedOut } from './disk-operation.ts';
import type { exportSchema } from './disk-requests.ts';
import { encodeRecord } from './encode.ts';

/**
 * Has an archive made of a box and sends it, at the caller's pace. It goes from the host with the end of the call, however that
 * comes; one that nobody fetched goes after a while.
 */
export const exportBox = (deps: ApiDeps) =>
  async function* (
    { mutation, box, includeEnv, consistency }: z.infer<typeof exportSchema>,
    scope: CallScope,
  ): AsyncGenerator<ExportResponse> {
    const { boxId, tenant } = await findBox(deps, scope.caller.tenant, box);
    const exportId = deps.ids.exportId();
    const command = { type: 'box.export', boxId, exportId, includeEnv, consistency } as const;
    const { ending } = yield* carriedOut(deps, 'export', command, mutation, scope);
    assert(ending.type === 'box.exported', `an export ended with ${ending.type}`);
    const made = ending.data;
    try {
      const header: ExportHeader = {
        box: encodeRecord(await boxById(deps, tenant, boxId)),
        exportId: made.exportId,
        sizeBytes: BigInt(made.sizeBytes),
        sha256: made.sha256,
        consistency: made.bracket.consistency,
      };
      yield { message: { $case: 'header', value: header } };
      // Opened after the header: a caller that is gone by then would leave a file open that nobody reads.
      for await (const bytes of await deps.archives.open(made.exportId))
        for (const value of piecesOf(bytes)) yield { message: { $case: 'chunk', value } };
    } finally {
      await deps.archives.remove(made.exportId);
    }
  };

function* piecesOf({ buffer, byteOffset, byteLength }: Uint8Array): Generator<Buffer> {
  for (let from = 0; from < byteLength; from += limits.dataChunkBytes)
    yield Buffer.from(buffer, byteOffset + from, Math.min(limits.dataChunkBytes, byteLength - from));
}
