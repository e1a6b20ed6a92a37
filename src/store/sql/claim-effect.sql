-- Takes an effect that is due and that nobody holds, with its next attempt. Only its own host may, no epoch before the one that
-- it was asked for in, and none that the host, by the head of its stream, has left behind. $1 effect id, $2 host id, $3 epoch,
-- $4 lease in milliseconds. One row, or none. Locks the row.
UPDATE boxledger.effects
SET state = 'claimed', attempt = attempt + 1, holder_host_id = $2, holder_epoch = $3,
  lease_until = statement_timestamp() + $4 * interval '1 millisecond'
WHERE effect_id = $1 AND host_id = $2 AND epoch <= $3
  AND (state = 'pending' AND due_at <= statement_timestamp()
    OR state = 'claimed' AND lease_until <= statement_timestamp())
  AND NOT EXISTS (
    SELECT FROM boxledger.heads
    WHERE stream_id = 'host/' || $2 AND (snapshot #>> '{context,epoch}')::integer > $3)
RETURNING effect_id, attempt, correlation_id, kind, tenant, box_id, generation, host_id, epoch, args, not_before, deadline, created_at
