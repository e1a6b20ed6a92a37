-- Writes a box row that was folded afresh. $1 box id, $2 tenant, $3 name, $4 state, $5 labels as JSON, $6 host id or null,
-- $7 version, $8 when created, $9 when last changed, $10 view as JSON. The caller holds the table's lock.
INSERT INTO boxledger.boxes (box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10::jsonb)
