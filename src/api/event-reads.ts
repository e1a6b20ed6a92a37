import type { z } from 'zod';
import type { ReadAllResponse, ReadStreamResponse } from '../gen/boxledger/v1/event_service.ts';
import { BoxledgerError } from '../kernel/errors.ts';
import { noVersion } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';
import type { CallScope } from './call-scope.ts';
import { encodeEvent } from './encode.ts';
import type { readAllSchema, readStreamSchema } from './requests.ts';

/** The log as callers read it. Nothing is read ahead of a caller that does not keep up but one page. */

const pageSize = 256;

export const readStream = (deps: ApiDeps) =>
  async function* (
    { streamId, afterVersion, types, limit }: z.infer<typeof readStreamSchema>,
    { caller, signal }: CallScope,
  ): AsyncGenerator<ReadStreamResponse> {
    const [first] = await deps.log.readStream(streamId, noVersion, 1);
    if (first === undefined || first.tenant !== caller.tenant)
      throw new BoxledgerError('NotFound', `There is no stream ${streamId}.`, { details: { streamId } });
    const wanted = new Set<string>(types);
    let given = 0n;
    for (let after = afterVersion; !signal.aborted; ) {
      const left = limit === 0n || wanted.size > 0 ? pageSize : Number(limit - given);
      const size = Math.min(left, pageSize);
      const page = await deps.log.readStream(streamId, after, size);
      for (const event of page) {
        if (wanted.size > 0 && !wanted.has(event.type)) continue;
        yield { event: encodeEvent(event, '') };
        given += 1n;
        if (given === limit) return;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < size) return;
      after = last.version;
    }
    signal.throwIfAborted();
  };

export const readAll = (deps: ApiDeps) =>
  async function* (
    { cursor, types, categories, follow, limit }: z.infer<typeof readAllSchema>,
    { caller, signal }: CallScope,
  ): AsyncGenerator<ReadAllResponse> {
    const filter = {
      tenant: caller.tenant,
      categories: categories.length === 0 ? undefined : categories,
      types: types.length === 0 ? undefined : types,
    };
    let given = 0n;
    for await (const item of deps.feed.follow({ from: cursor, filter, signal })) {
      if (item.kind === 'event') {
        yield { event: encodeEvent(item.event, item.event.cursor) };
        given += 1n;
        if (given === limit) return;
      } else if (!follow) return;
    }
    signal.throwIfAborted();
  };
