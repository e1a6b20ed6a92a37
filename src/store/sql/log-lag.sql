-- How far readers are behind, and who holds them back. One row: age in milliseconds of the oldest event that cannot be read
-- yet, and the oldest transaction under way that writes, on this server, in whatever database; nulls when there is none.
-- Ages of other roles' transactions are null without the rights of pg_read_all_stats. Takes no locks.
WITH horizon AS (SELECT boxledger.horizon() AS number, pg_snapshot_xmin(pg_current_snapshot())::xid AS transaction)
SELECT
  coalesce((
    SELECT greatest(0, extract(epoch FROM statement_timestamp() - occurred_at) * 1000)::float8 FROM boxledger.events
    WHERE transaction_id >= (SELECT number FROM horizon) ORDER BY transaction_id, position LIMIT 1), 0) AS lag_ms,
  blocker.*
FROM horizon LEFT JOIN LATERAL (
  SELECT pid, application_name AS application, datname AS database, usename AS user,
    (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::float8 AS transaction_age_ms,
    (extract(epoch FROM clock_timestamp() - query_start) * 1000)::float8 AS query_age_ms
  FROM pg_stat_activity WHERE backend_xid = horizon.transaction
  UNION ALL
  SELECT NULL, gid, database, owner, (extract(epoch FROM clock_timestamp() - prepared) * 1000)::float8, NULL
  FROM pg_prepared_xacts WHERE transaction = horizon.transaction
  LIMIT 1
) AS blocker ON true
