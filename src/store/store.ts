import type pg from 'pg';
import type { CheckpointStore } from '../audit/checkpoint-store.ts';
import type { ConsumerStore } from '../commands/consumer-store.ts';
import type { BoxDirectory, EventLog, EventStore, ExecDirectory } from '../commands/event-store.ts';
import type { LogHistory } from '../commands/log-history.ts';
import type { LagMeter } from '../commands/log-lag.ts';
import type { Outbox } from '../effects/outbox.ts';
import { limits } from '../kernel/limits.ts';
import { AppendWake } from './append-wake.ts';
import { Database } from './database.ts';
import type { LiveBox } from './history-rows.ts';
import { keepLog } from './keep-log.ts';
import { liveBoxes } from './live-boxes.ts';
import { migrate } from './migrate.ts';
import { PostgresBoxDirectory } from './postgres-box-directory.ts';
import { PostgresCheckpoints } from './postgres-checkpoints.ts';
import { PostgresConsumerStore } from './postgres-consumer-store.ts';
import { PostgresEventLog } from './postgres-event-log.ts';
import { PostgresEventStore } from './postgres-event-store.ts';
import { PostgresExecDirectory } from './postgres-exec-directory.ts';
import { PostgresLogHistory } from './postgres-log-history.ts';
import { PostgresOutbox } from './postgres-outbox.ts';
import { type Folding, type RebuildOptions, rebuild } from './rebuild.ts';
import { statement } from './statement.ts';
import type { StoreLog } from './store-log.ts';

const ping = statement('ping');

/** Everything that is kept in Postgres, behind the ports that the rest of the program knows. */
export interface Store {
  readonly events: EventStore;
  readonly log: EventLog & LagMeter;
  readonly history: LogHistory;
  readonly boxes: BoxDirectory;
  readonly execs: ExecDirectory;
  readonly outbox: Outbox;
  readonly consumers: ConsumerStore;
  readonly checkpoints: CheckpointStore;
  /** For the queue, which may live in the same database. */
  readonly pool: pg.Pool;
  /** Brings the schema up to this program; returns the names of the migrations applied. */
  migrate(): Promise<readonly string[]>;
  /** Begins an epoch of the log when its server or database is another than before, and adds partitions ahead of need. */
  keepLog(): Promise<void>;
  /** Makes every head and box row again from the log, while the service runs. */
  rebuild(folding: Folding, options?: RebuildOptions): Promise<{ readonly streams: number }>;
  /** Every box that is not removed, as it is stored. */
  liveBoxes(): AsyncIterable<LiveBox>;
  /** Resolves when the database answers; else throws `Unavailable`. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** As `pg` understands it: `postgres://user:password@host:port/database`. */
  readonly databaseUrl: string;
  readonly log: StoreLog;
  /** About so many events in a partition of the log. */
  readonly partitionEvents?: number | undefined;
  /** Told of each statement that appended: how many commands it wrote, and how long it took. Must not throw. */
  readonly onWritten?: ((commands: number, durationMs: number) => void) | undefined;
}

/** Opens the store once its database answers. The schema may still have to be migrated. */
export const openStore = async ({
  databaseUrl,
  log,
  partitionEvents = limits.partitionEvents,
  onWritten,
}: StoreOptions): Promise<Store> => {
  const database = new Database(databaseUrl, log);
  const wake = new AppendWake(database, log);
  const store: Store = {
    events: new PostgresEventStore(database, {
      wake,
      keepLog: () => keepLog(database, partitionEvents),
      onWritten,
    }),
    log: new PostgresEventLog(database, wake),
    history: new PostgresLogHistory(database),
    boxes: new PostgresBoxDirectory(database),
    execs: new PostgresExecDirectory(database),
    outbox: new PostgresOutbox(database),
    consumers: new PostgresConsumerStore(database),
    checkpoints: new PostgresCheckpoints(database),
    pool: database.pool,
    migrate: () => migrate(databaseUrl),
    keepLog: () => keepLog(database, partitionEvents),
    rebuild: (folding, options) => rebuild(databaseUrl, folding, options),
    liveBoxes: () => liveBoxes(database),
    ping: async () => {
      await database.query(ping, []);
    },
    close: async () => {
      await wake.close();
      await database.close();
    },
  };
  try {
    await store.ping();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
};
