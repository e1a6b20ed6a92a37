-- Hands an effect back. $1 effect id, $2 attempt, $3 milliseconds until it is due again, $4 why, as JSON. One row, or none
-- when it is not held any more. Locks the row.
UPDATE boxledger.effects
SET state = 'pending', lease_until = NULL, holder_host_id = NULL, holder_epoch = NULL, last_error = $4::jsonb,
  due_at = statement_timestamp() + $3 * interval '1 millisecond'
WHERE effect_id = $1 AND state = 'claimed' AND attempt = $2
RETURNING effect_id
