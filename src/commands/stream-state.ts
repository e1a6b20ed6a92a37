import type { StreamId, TenantId, Version } from '../kernel/ids.ts';

/** A stream as it stood at one version. `state` is undefined before its first event. */
export interface StreamState {
  readonly streamId: StreamId;
  readonly version: Version;
  readonly hash: string;
  /** Of its first event; undefined before that. */
  readonly tenant: TenantId | undefined;
  readonly state: unknown;
}
