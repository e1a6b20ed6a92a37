-- Writes a head that was folded afresh. $1 stream id, $2 tenant, $3 version, $4 hash in hexadecimal, $5 snapshot as JSON,
-- $6 fingerprint. The caller holds the table's lock.
INSERT INTO boxledger.heads (stream_id, tenant, version, hash, snapshot, fingerprint)
VALUES ($1, $2, $3, decode($4, 'hex'), $5::jsonb, $6)
