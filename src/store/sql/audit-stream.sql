-- Events of the stream $1 above version $2, oldest first, $3 most rows, each with the hash of the one before it. Takes no locks.
SELECT e.transaction_id, e.position, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tenant, e.actor_kind, e.actor_id, e.reason,
  e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.occurred_at, e.hash,
  (SELECT p.hash FROM boxledger.events p WHERE p.stream_id = e.stream_id AND p.version = e.version - 1 LIMIT 1) AS previous_hash
FROM boxledger.events e
WHERE e.stream_id = $1 AND e.version > $2
ORDER BY e.version
LIMIT $3
