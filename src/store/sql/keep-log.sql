-- Begins an epoch of the log if its server or database is another than before, and adds a partition of about $1 events if the
-- next one is missing. $2: how long to wait at most, such as `250ms`, for the lock that an epoch begins under, since whoever asks
-- for the log meanwhile waits behind it; then it fails by 55P03. One row: the present epoch, and how many partitions were
-- added. Locks the log for the moment in which an epoch begins; else nothing that an append or a reader would notice.
WITH patience AS MATERIALIZED (SELECT set_config('lock_timeout', $2, true)),
home AS MATERIALIZED (SELECT boxledger.keep_epoch() AS epoch FROM patience),
unhurried AS MATERIALIZED (SELECT epoch, set_config('lock_timeout', '0', true) FROM home)
SELECT epoch, boxledger.keep_partitions($1) AS added FROM unhurried
