-- Boxes that are not removed, oldest first. $1 tenant, $2 time of creation and $3 box id after which, $4 most rows;
-- filters, null for any: $5 states, $6 beginning of the name. Takes no locks.
SELECT box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view
FROM boxledger.boxes
WHERE tenant = $1 AND NOT removed
  AND (created_at, box_id) > ($2::timestamptz, $3::text)
  AND ($5::text[] IS NULL OR state = ANY ($5))
  AND ($6::text IS NULL OR starts_with(name, $6))
ORDER BY created_at, box_id
LIMIT $4
