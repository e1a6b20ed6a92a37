-- Number of events, as far as the database knows without counting: from its statistics, or from the newest position when there
-- are none yet. One row. Takes no locks.
SELECT greatest(
  (SELECT reltuples::bigint FROM pg_class WHERE oid = 'boxledger.events'::regclass),
  (SELECT position FROM boxledger.events ORDER BY transaction_id DESC, position DESC LIMIT 1), 0)::text AS events
