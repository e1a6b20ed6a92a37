-- Effects by their ids, settled and cancelled ones as well. $1 effect ids. A row for each that is still kept.
-- Takes no locks.
SELECT effect_id, kind, state, host_id, attempt, deadline, last_error
FROM boxledger.effects
WHERE effect_id = ANY ($1::text[])
