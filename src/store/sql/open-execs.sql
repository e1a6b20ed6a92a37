-- Execs that have not ended, as their heads have it. $1 only ids above this, in order of the id; $2 most rows. Takes no
-- locks.
SELECT substr(stream_id, 6) AS exec_id, tenant
FROM boxledger.heads
WHERE stream_id >= 'exec/' AND stream_id < 'exec0' AND snapshot ->> 'value' IN ('requested', 'running')
  AND stream_id > 'exec/' || $1
ORDER BY stream_id
LIMIT $2
