-- Execs that have not ended. $1 only ids above this, in order of the id; $2 most rows. Takes no locks.
SELECT substr(stream_id, 6) AS exec_id, tenant
FROM boxledger.open_execs
WHERE stream_id > 'exec/' || $1
ORDER BY stream_id
LIMIT $2
