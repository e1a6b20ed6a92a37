-- As list-boxes, but only those with every label of $7 (a JSON object that is not empty): a statement of its own, so
-- that the index over labels is used. Takes no locks.
SELECT box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view
FROM boxledger.boxes
WHERE tenant = $1 AND NOT removed
  AND (created_at, box_id) > ($2::timestamptz, $3::text)
  AND ($5::text[] IS NULL OR state = ANY ($5))
  AND ($6::text IS NULL OR starts_with(name, $6))
  AND labels <> '{}'::jsonb AND labels @> $7::jsonb
ORDER BY created_at, box_id
LIMIT $4
