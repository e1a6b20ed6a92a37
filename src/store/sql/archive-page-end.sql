-- The place of the $4th event after the place $1 (transaction id), $2 (position) and before the transaction $3, or of the last one
-- when there are fewer. One row, or none when there is none. Takes no locks.
SELECT transaction_id::text, position::text
FROM (
  SELECT transaction_id, position FROM boxledger.events
  WHERE (transaction_id, position) > ($1::xid8, $2::bigint) AND transaction_id >= $1::xid8 AND transaction_id < $3::xid8
  ORDER BY transaction_id, position LIMIT $4) page
ORDER BY transaction_id DESC, position DESC
LIMIT 1
