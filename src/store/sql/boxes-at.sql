-- Boxes that were created at a time or before, removed ones as well, oldest first, as they are now, and the version of the
-- first event that is dated after that time, null when there is none, and the archive that holds such an event, if one does.
-- $1 tenant, $2 time, $3 time of creation and $4 box id after which, $5 most rows; filters, null for any: $6 name,
-- $7 beginning of the name, $8 labels as a JSON object. Looks through each box's events up to the first that is later.
-- Takes no locks.
SELECT b.box_id, b.tenant, b.name, b.state, b.labels, b.host_id, b.version, b.created_at, b.updated_at, b.view,
  (SELECT e.version FROM boxledger.events e
   WHERE e.stream_id = 'box/' || b.box_id AND e.occurred_at > $2::timestamptz
   ORDER BY e.version LIMIT 1) AS first_later,
  (SELECT a.file FROM boxledger.archived_streams s JOIN boxledger.archives a ON a.number = s.archive
   WHERE s.stream_id = 'box/' || b.box_id AND b.updated_at > $2::timestamptz) AS archive
FROM boxledger.boxes b
WHERE b.tenant = $1 AND b.created_at <= $2::timestamptz
  AND (b.created_at, b.box_id) > ($3::timestamptz, $4::text)
  AND ($6::text IS NULL OR b.name = $6)
  AND ($7::text IS NULL OR starts_with(b.name, $7))
  AND ($8::jsonb IS NULL OR b.labels @> $8)
ORDER BY b.created_at, b.box_id
LIMIT $5
