-- What a checkpoint signs of the events after the place $1 (transaction id), $2 (position): in global order, $3 most rows, and
-- only of transactions below the horizon, so that nothing can be added between them any more; and only of one partition, so
-- that a checkpoint never has to be torn apart when partitions are archived: that of the transaction $4, the first of the
-- checkpoint, or when that is null, of the first event that is found. Takes no locks.
WITH edge AS (SELECT boxledger.horizon() AS horizon),
first AS (
  SELECT coalesce($4::xid8, (
    SELECT transaction_id FROM boxledger.events
    WHERE (transaction_id, position) > ($1::xid8, $2::bigint) AND transaction_id >= $1::xid8
      AND transaction_id < (SELECT horizon FROM edge)
    ORDER BY transaction_id, position LIMIT 1)) AS transaction_id)
SELECT e.transaction_id::text, e.position::text, encode(e.hash, 'hex') AS hash
FROM boxledger.events e
WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint)
  AND e.transaction_id >= $1::xid8 -- by this partitions are passed over
  AND e.transaction_id < (SELECT horizon FROM edge)
  AND e.transaction_id < (
    SELECT p.ends FROM boxledger.partitions p WHERE p.ends > (SELECT transaction_id FROM first) ORDER BY p.ends LIMIT 1)
ORDER BY e.transaction_id, e.position
LIMIT $3
