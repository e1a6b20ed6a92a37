-- The last event that a reader of the whole log can see now, also when it has left the database. One row, or none while
-- the log is empty. Takes no locks.
SELECT *
FROM (
  (SELECT transaction_id, position
   FROM boxledger.events
   WHERE transaction_id < (SELECT boxledger.horizon())
   ORDER BY transaction_id DESC, position DESC
   LIMIT 1)
  UNION ALL
  (SELECT to_transaction_id, to_position FROM boxledger.archives ORDER BY number DESC LIMIT 1)) AS ends
ORDER BY transaction_id DESC, position DESC
LIMIT 1
