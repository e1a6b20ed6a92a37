-- Keeps a box row that was folded afresh in this connection's own table, in the place of an earlier fold. $1 box id,
-- $2 tenant, $3 name, $4 state, $5 labels as JSON, $6 host id or null, $7 version, $8 when created, $9 when last changed,
-- $10 view as JSON.
INSERT INTO rebuilt_boxes (box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10::jsonb)
ON CONFLICT (box_id) DO UPDATE SET name = excluded.name, state = excluded.state, labels = excluded.labels,
  host_id = excluded.host_id, version = excluded.version, updated_at = excluded.updated_at, view = excluded.view
