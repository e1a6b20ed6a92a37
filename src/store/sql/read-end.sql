-- The last event that a reader of the whole log can see now. One row, or none while the log is empty. Takes no locks.
SELECT transaction_id, position
FROM boxledger.events
WHERE transaction_id < (SELECT boxledger.horizon())
ORDER BY transaction_id DESC, position DESC
LIMIT 1
