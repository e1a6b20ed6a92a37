-- Hands back whatever earlier epochs of a host hold, to be enqueued at once. $1 host id, $2 present epoch. A row for each.
-- Locks the rows, in the order of their ids.
WITH held AS (
  SELECT effect_id FROM boxledger.effects
  WHERE host_id = $1 AND open AND state = 'claimed' AND holder_host_id = $1 AND holder_epoch < $2
  ORDER BY effect_id
  FOR UPDATE)
UPDATE boxledger.effects e
SET state = 'pending', lease_until = NULL, holder_host_id = NULL, holder_epoch = NULL, last_enqueued_at = NULL
WHERE e.effect_id = ANY (ARRAY(SELECT effect_id FROM held))
RETURNING e.effect_id
