-- The whole log in global order, as it is stored. For a cursor: a row for each event. Takes no locks.
SELECT e.transaction_id, e.position, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tenant, e.actor_kind, e.actor_id, e.reason,
  e.command_id, e.correlation_id, e.causation_id, e.traceparent, e.occurred_at, e.hash
FROM boxledger.events e
ORDER BY e.transaction_id, e.position
