import type { Logger } from 'pino';
import type { CommandDoor, CommandMemory } from '../commands/door.ts';
import type { BoxDirectory, BoxRecord, EventLog, ExecDirectory } from '../commands/event-store.ts';
import type { Explainer } from '../commands/explainer.ts';
import type { LogFeed } from '../commands/log-feed.ts';
import type { LogHistory } from '../commands/log-history.ts';
import type { Moments } from '../commands/moments.ts';
import type { Placement } from '../events/box-events.ts';
import type { Capacity } from '../events/host-events.ts';
import type { Actor } from '../events/schemas.ts';
import type { TenantId } from '../kernel/ids.ts';
import type { IdSource } from '../kernel/ports.ts';
import type { BoxArchives } from './box-archives.ts';
import type { CallObserver } from './call-observer.ts';
import type { ExecKeeper } from './exec-keeper.ts';
import type { GuestAccess } from './guest-access.ts';
import type { ProgressSource } from './progress.ts';
import type { ServiceCounts } from './service-counts.ts';

/** Everything that the services stand on. */
export interface ApiDeps {
  readonly door: CommandDoor;
  readonly memory: CommandMemory;
  readonly boxes: BoxDirectory;
  readonly log: EventLog;
  readonly feed: LogFeed;
  readonly history: LogHistory;
  readonly moments: Moments;
  readonly explainer: Explainer;
  readonly guests: GuestAccess;
  readonly counts: ServiceCounts;
  /** Told of calls as they begin and end; must neither throw nor wait. */
  readonly callObserver?: CallObserver | undefined;
  readonly progress: ProgressSource;
  readonly archives: BoxArchives;
  readonly execs: ExecDirectory;
  readonly keeper: ExecKeeper;
  /** Chooses the host for a start: the one with the box's disk, if it has one. Throws `Unavailable` when there is none. */
  readonly placement: (box: BoxRecord) => Promise<Placement>;
  /** What the largest host has: no box may ask for more. */
  readonly capacity: Capacity;
  readonly ids: IdSource;
  readonly tenant: TenantId;
  /** Who a caller is that does not say so. */
  readonly localActor: Actor;
  /** The bearer token that every call but health checks needs; undefined: none. */
  readonly token: string | undefined;
  readonly logger: Logger;
}
