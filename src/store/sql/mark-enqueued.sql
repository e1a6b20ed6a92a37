-- Notes that effects have just been enqueued. $1 effect ids. Locks the rows, in the order of their ids.
WITH open AS (
  SELECT effect_id FROM boxledger.effects
  WHERE effect_id = ANY ($1::text[]) AND state IN ('pending', 'claimed')
  ORDER BY effect_id
  FOR UPDATE)
UPDATE boxledger.effects e SET last_enqueued_at = statement_timestamp()
WHERE e.effect_id = ANY (ARRAY(SELECT effect_id FROM open))
