import type { Metadata } from '@grpc/grpc-js';
import { type Actor, actorSchema } from '../events/schemas.ts';
import { BoxledgerError, invalidArgument } from '../kernel/errors.ts';
import type { TenantId } from '../kernel/ids.ts';
import type { ApiDeps } from './api-deps.ts';

/** Who is behind a call, from its metadata and never from its payload. */
export interface Caller {
  readonly tenant: TenantId;
  readonly actor: Actor;
  /** W3C Trace Context, as received. */
  readonly traceparent: string | undefined;
}

const actorHeader = 'x-boxledger-actor';
/** https://www.w3.org/TR/trace-context/#traceparent-header; one that is not so is to be ignored. */
const traceparentPattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;
const traceparentMaxLength = 256;

/** Throws `InvalidArgument` for an actor that cannot be recorded. */
export const callerOf = (metadata: Metadata, { tenant, localActor }: ApiDeps): Caller => {
  const [traceparent] = metadata.get('traceparent');
  return {
    tenant,
    actor: actorOf(metadata) ?? localActor,
    traceparent:
      typeof traceparent === 'string' &&
      traceparent.length <= traceparentMaxLength &&
      traceparentPattern.test(traceparent)
        ? traceparent
        : undefined,
  };
};

const actorOf = (metadata: Metadata): Actor | undefined => {
  const given = metadata.get(actorHeader);
  if (given.length === 0) return undefined;
  const parsed = actorSchema.safeParse({ kind: 'user', id: given[0] });
  if (given.length === 1 && parsed.success) return parsed.data;
  const problem =
    given.length > 1 ? 'must be given once' : (parsed.error?.issues[0]?.message ?? 'is not an actor');
  throw BoxledgerError.fromRefusal(invalidArgument([{ field: `metadata.${actorHeader}`, problem }]));
};
