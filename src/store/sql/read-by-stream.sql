-- Events of all streams, one stream after the other. $1 stream id and $2 version after which, $3 most rows.
-- Takes no locks.
SELECT position, transaction_id, stream_id, version, type, schema_version, data, tenant, actor_kind, actor_id, reason,
  command_id, correlation_id, causation_id, traceparent, occurred_at, hash
FROM boxledger.events
WHERE (stream_id, version) > ($1::text, $2::bigint)
ORDER BY stream_id, version
LIMIT $3
