-- As audit-events, but only what comes after the place $1 (transaction id), $2 (position). For a cursor. Takes no locks.
SELECT e.transaction_id, e.position, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tenant, e.actor_kind, e.actor_id, e.reason,
  e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.occurred_at, e.hash
FROM boxledger.events e
WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint)
  AND e.transaction_id >= $1::xid8 -- by this partitions are passed over
ORDER BY e.transaction_id, e.position
