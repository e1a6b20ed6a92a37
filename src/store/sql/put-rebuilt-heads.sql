-- Puts the heads that were folded afresh in this connection's own table in the place of the old, which are gone. The
-- caller holds the table's lock.
INSERT INTO boxledger.heads (stream_id, tenant, version, hash, fingerprint, snapshot)
SELECT stream_id, tenant, version, hash, fingerprint, snapshot FROM rebuilt_heads
