-- What a checkpoint signs of the events after the place $1 (transaction id), $2 (position): in global order, $3 most rows, and
-- only of transactions below the horizon, so that nothing can be added between them any more. Takes no locks.
SELECT e.transaction_id::text, e.position::text, encode(e.hash, 'hex') AS hash
FROM boxledger.events e
WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint)
  AND e.transaction_id < (SELECT boxledger.horizon())
ORDER BY e.transaction_id, e.position
LIMIT $3
