-- Events of one stream as `read-all` gives them, found by the stream: in a stream the order of versions is that of the log.
-- $1 transaction id and $2 position after which, $3 most events, $4 stream id; filters, null for any: $5 tenant, $6 categories,
-- $7 types. A row for each event, or one of nulls when there is none; on each, the horizon, whether committed events are held
-- back now, and no place where the look ended: it went to the horizon. Takes no locks.
WITH edge AS (SELECT boxledger.horizon() AS horizon)
SELECT page.*, edge.horizon,
  coalesce(edge.horizon <= (
    SELECT transaction_id FROM boxledger.events ORDER BY transaction_id DESC, position DESC LIMIT 1), false) AS held_back,
  NULL::xid8 AS looked_transaction_id, NULL::bigint AS looked_position
FROM edge LEFT JOIN (
  SELECT position, transaction_id, stream_id, version, type, schema_version, data, tenant, actor_kind, actor_id, reason,
    command_id, correlation_id, causation_id, traceparent, occurred_at, hash
  FROM boxledger.events
  WHERE stream_id = $4
    AND (transaction_id, position) > ($1::xid8, $2::bigint)
    AND transaction_id >= $1::xid8 -- says no more than the line before, but only by this are partitions passed over
    AND transaction_id < (SELECT horizon FROM edge)
    AND ($5::text IS NULL OR tenant = $5)
    AND ($6::text[] IS NULL OR split_part(stream_id, '/', 1) = ANY ($6))
    AND ($7::text[] IS NULL OR type = ANY ($7))
  ORDER BY stream_id, version
  LIMIT $3
) AS page ON true
ORDER BY page.version
