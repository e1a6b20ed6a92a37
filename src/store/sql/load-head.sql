-- A stream's present. $1 stream id. No row: no such stream. Takes no locks.
SELECT stream_id, tenant, version, hash, snapshot, fingerprint
FROM boxledger.heads
WHERE stream_id = $1
