-- The last event of a type in a stream. $1 stream id, $2 type. One row or none. Walks back from the stream's end; takes no
-- locks.
SELECT position, transaction_id, stream_id, version, type, schema_version, data, tenant, actor_kind, actor_id, reason,
  command_id, correlation_id, causation_id, traceparent, occurred_at, hash
FROM boxledger.events
WHERE stream_id = $1 AND type = $2
ORDER BY version DESC
LIMIT 1
