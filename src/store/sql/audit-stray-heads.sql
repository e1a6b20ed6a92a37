-- Heads that are not what the last event of their stream says: one row each, at most $1; $2 null, or the one
-- stream to look at. Of a stream that has left the database only the version is known. Takes no locks.
SELECT h.stream_id, h.version::text, encode(h.hash, 'hex') AS hash, coalesce(e.version, s.version, 0)::text AS last_version,
  encode(e.hash, 'hex') AS last_hash
FROM boxledger.heads h
LEFT JOIN LATERAL (
  SELECT version, hash FROM boxledger.events WHERE stream_id = h.stream_id ORDER BY version DESC LIMIT 1) e ON true
LEFT JOIN boxledger.archived_streams s ON s.stream_id = h.stream_id
WHERE ($2::text IS NULL OR h.stream_id = $2)
  AND (coalesce(e.version, s.version) IS DISTINCT FROM h.version
    OR e.hash IS DISTINCT FROM h.hash AND (e.hash IS NOT NULL OR s.version IS NULL))
ORDER BY h.stream_id
LIMIT $1
