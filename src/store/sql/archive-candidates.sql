-- Partitions that nothing can be added to any more, oldest first, with the place of the last event of each (nulls when it has
-- none) and the checkpoint that ends there, when one does. Takes no locks.
SELECT p.number, p.begins::text, p.ends::text, e.transaction_id::text, e.position::text, c.body
FROM boxledger.partitions p
LEFT JOIN LATERAL (
  SELECT transaction_id, position FROM boxledger.events
  WHERE transaction_id >= p.begins AND transaction_id < p.ends
  ORDER BY transaction_id DESC, position DESC LIMIT 1) e ON true
LEFT JOIN boxledger.checkpoints c ON (c.to_transaction_id, c.to_position) = (e.transaction_id, e.position)
WHERE p.ends <= boxledger.horizon()
ORDER BY p.ends
