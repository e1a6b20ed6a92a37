-- Prolongs a lease. $1 effect id, $2 attempt, $3 milliseconds from now. One row, or none when it is not held any more, or its
-- holder's host has joined again since: a claim may have been taken in just that moment. Locks the row.
UPDATE boxledger.effects
SET lease_until = statement_timestamp() + $3 * interval '1 millisecond'
WHERE effect_id = $1 AND state = 'claimed' AND attempt = $2
  AND NOT EXISTS (
    SELECT FROM boxledger.heads
    WHERE stream_id = 'host/' || holder_host_id AND (snapshot #>> '{context,epoch}')::integer > holder_epoch)
RETURNING effect_id
