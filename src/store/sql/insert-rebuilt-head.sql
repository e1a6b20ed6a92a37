-- Keeps a head that was folded afresh in this connection's own table, in the place of an earlier fold. $1 stream id,
-- $2 tenant, $3 version, $4 hash in hexadecimal, $5 snapshot as JSON, $6 fingerprint. One row: whether there was one.
INSERT INTO rebuilt_heads (stream_id, tenant, version, hash, snapshot, fingerprint)
VALUES ($1, $2, $3, decode($4, 'hex'), $5::jsonb, $6)
ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, hash = excluded.hash, snapshot = excluded.snapshot,
  fingerprint = excluded.fingerprint
RETURNING xmax <> 0 AS kept_before
