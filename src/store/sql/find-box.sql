-- Boxes that a user may mean, best match first: by whole id (removed ones too), by name, by the beginning of the id.
-- $1 tenant, $2 what the user gave, $3 the beginning of an id or null, $4 most rows by beginning. Takes no locks.
(SELECT 1 AS rank, box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view
 FROM boxledger.boxes WHERE box_id = $2 AND tenant = $1)
UNION ALL
(SELECT 2, box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view
 FROM boxledger.boxes WHERE tenant = $1 AND name = $2 AND NOT removed)
UNION ALL
(SELECT 3, box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view
 FROM boxledger.boxes
 WHERE box_id >= $3 AND box_id < $3 || '~' AND tenant = $1 AND NOT removed
 ORDER BY box_id LIMIT $4)
ORDER BY rank, box_id
