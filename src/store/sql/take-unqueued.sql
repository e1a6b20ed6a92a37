-- Effects that the queue may have lost: open, not held, and asked for or last enqueued long ago; marks them as enqueued now.
-- $1 age in milliseconds, $2 most rows, the longest waiting first. Locks the rows; passes over rows that others lock.
WITH waiting AS (
  SELECT effect_id FROM boxledger.effects
  WHERE open
    AND (state = 'pending' OR lease_until <= statement_timestamp())
    AND coalesce(last_enqueued_at, '-infinity') < statement_timestamp() - $1 * interval '1 millisecond'
  ORDER BY coalesce(last_enqueued_at, '-infinity'), created_at
  LIMIT $2
  FOR UPDATE SKIP LOCKED)
UPDATE boxledger.effects e SET last_enqueued_at = statement_timestamp()
WHERE e.effect_id = ANY (ARRAY(SELECT effect_id FROM waiting))
RETURNING e.effect_id, e.host_id,
  greatest(0, ceil(extract(epoch FROM e.due_at - statement_timestamp()) * 1000))::integer AS delay_ms
