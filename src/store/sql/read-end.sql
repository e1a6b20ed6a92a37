-- The last event that a reader of the whole log can see now, also when it has left the database. One row, or none while
-- the log is empty. Takes no locks.
WITH here AS (
  SELECT transaction_id, position FROM boxledger.events
  WHERE transaction_id < (SELECT boxledger.horizon())
  ORDER BY transaction_id DESC, position DESC LIMIT 1),
gone AS (
  SELECT to_transaction_id AS transaction_id, to_position AS position FROM boxledger.archives ORDER BY number DESC LIMIT 1)
SELECT transaction_id, position FROM here
WHERE NOT EXISTS (SELECT FROM gone WHERE (gone.transaction_id, gone.position) > (here.transaction_id, here.position))
UNION ALL
SELECT transaction_id, position FROM gone
WHERE NOT EXISTS (SELECT FROM here WHERE (here.transaction_id, here.position) >= (gone.transaction_id, gone.position))
