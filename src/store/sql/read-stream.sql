-- Events of one stream, oldest first. $1 stream id, $2 version after which, $3 most rows. Takes no locks.
SELECT position, transaction_id, stream_id, version, type, schema_version, data, tenant, actor_kind, actor_id, reason,
  command_id, correlation_id, causation_id, traceparent, occurred_at, hash
FROM boxledger.events
WHERE stream_id = $1 AND version > $2
ORDER BY version
LIMIT $3
