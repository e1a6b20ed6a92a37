-- As list-boxes, but removed boxes too; $7 labels as a JSON object, `{}` for any. Takes no locks.
SELECT box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view
FROM boxledger.boxes
WHERE tenant = $1
  AND (created_at, box_id) > ($2::timestamptz, $3::text)
  AND ($5::text[] IS NULL OR state = ANY ($5))
  AND ($6::text IS NULL OR starts_with(name, $6))
  AND labels @> $7::jsonb
ORDER BY created_at, box_id
LIMIT $4
