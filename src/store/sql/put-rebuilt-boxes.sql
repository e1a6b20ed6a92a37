-- Puts the box rows that were folded afresh in this connection's own table in the place of the old, which are gone. The
-- caller holds the table's lock.
INSERT INTO boxledger.boxes (box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view)
SELECT box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view FROM rebuilt_boxes
