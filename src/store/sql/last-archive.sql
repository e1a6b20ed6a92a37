-- The newest archive, and the place of its last event. One row or none. Takes no locks.
SELECT file, to_transaction_id, to_position
FROM boxledger.archives
ORDER BY number DESC
LIMIT 1
