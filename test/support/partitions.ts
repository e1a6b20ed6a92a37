import { sql } from './roles.ts';

/**
 * Ends the present partition here and now, under a lock that a service would never take: bounds are otherwise set far ahead.
 * Those after it, which are empty, go; new ones come unless `next` is false.
 */
export const cutPartition = (ownerUrl: string, { next = true } = {}): Promise<unknown> =>
  sql(
    ownerUrl,
    `DO $$
     DECLARE
       present boxledger.partitions;
       later boxledger.partitions;
       bound xid8;
     BEGIN
       LOCK TABLE boxledger.events IN ACCESS EXCLUSIVE MODE;
       bound := (boxledger.numbered((SELECT max(number) FROM boxledger.log_epochs), pg_current_xact_id())::text::bigint + 1)::text::xid8;
       SELECT * INTO STRICT present FROM boxledger.partitions WHERE begins < bound AND ends > bound;
       FOR later IN DELETE FROM boxledger.partitions WHERE begins >= present.ends RETURNING * LOOP
         EXECUTE format('DROP TABLE boxledger.events_%s', later.number);
       END LOOP;
       EXECUTE format('ALTER TABLE boxledger.events DETACH PARTITION boxledger.events_%s', present.number);
       EXECUTE format('ALTER TABLE boxledger.events ATTACH PARTITION boxledger.events_%s FOR VALUES FROM (%L) TO (%L)',
         present.number, present.begins, bound);
       UPDATE boxledger.partitions SET ends = bound WHERE number = present.number;
       IF ${next} THEN PERFORM boxledger.keep_partitions(); END IF;
     END $$`,
  );

export interface Partition {
  readonly number: number;
  readonly begins: bigint;
  readonly ends: bigint;
}

export const partitionsOf = async (ownerUrl: string): Promise<readonly Partition[]> =>
  (
    await sql(ownerUrl, 'SELECT number, begins::text, ends::text FROM boxledger.partitions ORDER BY number')
  ).map((row) => ({
    number: Number(row['number']),
    begins: BigInt(String(row['begins'])),
    ends: BigInt(String(row['ends'])),
  }));
