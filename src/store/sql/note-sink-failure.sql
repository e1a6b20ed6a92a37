-- Notes that the sink $1 did not take a checkpoint, and why: $2. No row. Locks the sink's row.
INSERT INTO boxledger.checkpoint_sinks AS s (sink, failing_since, last_error) VALUES ($1, now(), $2)
ON CONFLICT (sink) DO UPDATE SET failing_since = coalesce(s.failing_since, now()), last_error = excluded.last_error
