-- Takes open effects whose deadline has passed, from whoever holds them, with their next attempt; one that was so taken
-- before only after its lease. $1 most rows, $2 lease in milliseconds; the most overdue first.
-- Locks the rows; passes over rows that others lock.
WITH overdue AS (
  SELECT effect_id FROM boxledger.effects
  WHERE open AND deadline <= statement_timestamp()
    AND (state = 'pending' OR holder_host_id IS NOT NULL OR lease_until <= statement_timestamp())
  ORDER BY deadline
  LIMIT $1
  FOR UPDATE SKIP LOCKED)
UPDATE boxledger.effects e
SET state = 'claimed', attempt = attempt + 1, holder_host_id = NULL, holder_epoch = NULL,
  lease_until = statement_timestamp() + $2 * interval '1 millisecond'
WHERE e.effect_id = ANY (ARRAY(SELECT effect_id FROM overdue))
RETURNING e.effect_id, e.attempt, e.tenant, e.box_id, e.generation, e.kind, e.correlation_id
