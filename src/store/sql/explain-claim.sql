-- Why an effect could not be claimed. $1 effect id, $2 host id, $3 epoch. One row while it is open and this epoch of the host may
-- have it: its state, and the milliseconds until it is due or its lease ends. Takes no locks.
SELECT state,
  greatest(1, ceil(extract(epoch FROM
    (CASE state WHEN 'claimed' THEN lease_until ELSE due_at END) - statement_timestamp()) * 1000))::integer AS retry_after_ms
FROM boxledger.effects
WHERE effect_id = $1 AND host_id = $2 AND epoch <= $3 AND state IN ('pending', 'claimed')
  AND NOT EXISTS (
    SELECT FROM boxledger.heads
    WHERE stream_id = 'host/' || $2 AND (snapshot #>> '{context,epoch}')::integer > $3)
