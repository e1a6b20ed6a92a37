-- Prolongs a lease. $1 effect id, $2 attempt, $3 milliseconds from now. One row, or none when it is not held any more.
-- Locks the row.
UPDATE boxledger.effects
SET lease_until = statement_timestamp() + $3 * interval '1 millisecond'
WHERE effect_id = $1 AND state = 'claimed' AND attempt = $2
RETURNING effect_id
