import type { z } from 'zod';
import type { CopyInResponse, CopyOutResponse } from '../gen/boxledger/v1/box_service.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import { enterBox } from './admission.ts';
import type { ApiDeps } from './api-deps.ts';
import type { CallScope } from './call-scope.ts';
import type { CopyInParsed, copyOutSchema } from './requests.ts';

/** Tar streams into and out of boxes, never whole in memory and never faster than the slower side. */

export const copyIn =
  (deps: ApiDeps) =>
  async (requests: AsyncGenerator<CopyInParsed, void>, scope: CallScope): Promise<CopyInResponse> => {
    const first = await requests.next();
    const header = first.done === true ? undefined : first.value.header;
    if (header === undefined) throw fault('header', 'must be the first request');
    const box = await enterBox(deps, header.box, copyVisit(deps), scope);
    const guest = await deps.guests.open(box);
    const { path, overwrite } = header;
    const { entries, bytes } = await guest.upload(path, { overwrite }, tarOf(requests), scope.signal);
    return { entries: BigInt(entries), bytes: BigInt(bytes) };
  };

export const copyOut = (deps: ApiDeps) =>
  async function* (
    { box: reference, path, ...options }: z.infer<typeof copyOutSchema>,
    scope: CallScope,
  ): AsyncGenerator<CopyOutResponse> {
    const box = await enterBox(deps, reference, copyVisit(deps), scope);
    const guest = await deps.guests.open(box);
    for await (const chunk of guest.download(path, options, scope.signal))
      yield { tar: Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) };
  };

const copyVisit = (deps: ApiDeps) =>
  ({ reason: 'copy', autoStart: true, correlationId: deps.ids.correlationId() }) as const;

async function* tarOf(requests: AsyncGenerator<CopyInParsed, void>): AsyncGenerator<Uint8Array> {
  for await (const { tar, header } of requests) {
    if (tar === undefined)
      throw header === undefined
        ? fault('message', 'must be set')
        : fault('header', 'must be the first request only');
    yield tar;
  }
}

const fault = (field: string, problem: string) =>
  BoxledgerError.fromRefusal(invalidArgument([{ field, problem }]));
