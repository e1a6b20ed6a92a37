-- Execs that have not ended, of boxes that are placed on a host, or on none any more. $1 host; $2 only ids above this, in
-- order of the id; $3 most rows. Takes no locks.
SELECT substr(e.stream_id, 6) AS exec_id, e.tenant, e.box_id
FROM boxledger.execs e
JOIN boxledger.boxes b ON b.box_id = e.box_id
WHERE e.is_open AND e.stream_id > 'exec/' || $2 AND (b.host_id = $1 OR b.host_id IS NULL)
ORDER BY e.stream_id
LIMIT $3
