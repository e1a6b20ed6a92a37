-- Begins an epoch of the log if its server or database is another than before, and adds a partition of about $1 events if the
-- next one is missing. One row: the present epoch, and how many partitions were added. Locks the log for the moment in
-- which an epoch begins; else nothing that an append or a reader would notice.
SELECT boxledger.keep_epoch() AS epoch, boxledger.keep_partitions($1) AS added
