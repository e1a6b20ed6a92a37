-- When the boxes of a host that are up and may be idle for too long were last used, by execs and copies that have ended; null:
-- never. $1 host; $2 only ids above this, in order of the id; $3 most rows. Takes no locks.
SELECT b.box_id, greatest(
    (SELECT max(e.ended_at) FROM boxledger.execs e WHERE e.box_id = b.box_id),
    (SELECT max(c.ended_at) FROM boxledger.copies c WHERE c.box_id = b.box_id)) AS last_used_at
FROM boxledger.boxes b
WHERE b.host_id = $1 AND b.box_id > $2 AND b.state IN ('running', 'pausing', 'paused', 'resuming')
  AND b.view #> '{options,idleTimeoutMs}' IS NOT NULL
ORDER BY b.box_id
LIMIT $3
