-- Events of all streams in an order that no later commit can change: by (transaction id, position), and only those of
-- transactions below the horizon (the snapshot's xmin, numbered by the log's epoch), for all of these have ended. A
-- transaction that writes anywhere on the server holds later events back until it ends, but none is ever skipped.
-- $1 transaction id and $2 position after which, $3 most events, $4 most to look at, whether they fit or not; filters, null for
-- any: $5 tenant, $6 categories (first part of the stream id), $7 types. A row for each event, or one of nulls when there is
-- none; on each, the horizon, whether committed events are held back now and, where the look ended before the horizon with
-- fewer than $3 events, the place of the last one looked at. Takes no locks.
WITH edge AS (SELECT boxledger.horizon() AS horizon),
page AS MATERIALIZED (
  SELECT * FROM (
    SELECT position, transaction_id, stream_id, version, type, schema_version, data, tenant, actor_kind, actor_id, reason,
      command_id, correlation_id, causation_id, traceparent, occurred_at, hash
    FROM boxledger.events
    WHERE (transaction_id, position) > ($1::xid8, $2::bigint)
      AND transaction_id >= $1::xid8 -- says no more than the line before, but only by this are partitions passed over
      AND transaction_id < (SELECT horizon FROM edge)
    ORDER BY transaction_id, position
    LIMIT $4
  ) AS looked_at
  WHERE ($5::text IS NULL OR tenant = $5)
    AND ($6::text[] IS NULL OR split_part(stream_id, '/', 1) = ANY ($6))
    AND ($7::text[] IS NULL OR type = ANY ($7))
  ORDER BY transaction_id, position
  LIMIT $3),
look AS (
  SELECT transaction_id, position FROM boxledger.events
  WHERE (SELECT count(*) FROM page) < $3
    AND (transaction_id, position) > ($1::xid8, $2::bigint)
    AND transaction_id >= $1::xid8
    AND transaction_id < (SELECT horizon FROM edge)
  ORDER BY transaction_id, position
  OFFSET $4 - 1 LIMIT 1)
SELECT page.*, edge.horizon,
  coalesce(edge.horizon <= (
    SELECT transaction_id FROM boxledger.events ORDER BY transaction_id DESC, position DESC LIMIT 1), false) AS held_back,
  look.transaction_id AS looked_transaction_id, look.position AS looked_position
FROM edge LEFT JOIN look ON true LEFT JOIN page ON true
ORDER BY page.transaction_id, page.position
