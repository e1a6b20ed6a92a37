-- Events of everything that one request led to, in the order they were appended. $1 tenant, $2 correlation id, $3 most
-- rows. Takes no locks.
SELECT position, transaction_id, stream_id, version, type, schema_version, data, tenant, actor_kind, actor_id, reason,
  command_id, correlation_id, causation_id, traceparent, occurred_at, hash
FROM boxledger.events
WHERE tenant = $1 AND correlation_id = $2
ORDER BY position
LIMIT $3
