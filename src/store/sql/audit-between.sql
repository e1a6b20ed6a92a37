-- Events after the place $1 (transaction id), $2 (position) up to the place $3, $4, in global order, each with the hash of the
-- event before it in its stream; $5 most rows. Takes no locks.
SELECT e.transaction_id, e.position, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tenant, e.actor_kind, e.actor_id, e.reason,
  e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.occurred_at, e.hash,
  (SELECT p.hash FROM boxledger.events p WHERE p.stream_id = e.stream_id AND p.version = e.version - 1 LIMIT 1) AS previous_hash
FROM boxledger.events e
WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint) AND (e.transaction_id, e.position) <= ($3::xid8, $4::bigint)
  AND e.transaction_id BETWEEN $1::xid8 AND $3::xid8 -- by this partitions are passed over
ORDER BY e.transaction_id, e.position
LIMIT $5
