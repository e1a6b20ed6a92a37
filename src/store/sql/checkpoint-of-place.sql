-- The checkpoint that covers the place $1 (transaction id), $2 (position). One row, or none when none does yet. Takes no locks.
SELECT body, encode(signature, 'hex') AS signature, leaf_inputs
FROM boxledger.checkpoints
WHERE (to_transaction_id, to_position) >= ($1::xid8, $2::bigint)
ORDER BY to_transaction_id, to_position
LIMIT 1
