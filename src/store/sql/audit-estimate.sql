-- Number of events, as far as the database knows without counting: from its statistics, or from the newest position when there
-- are none yet. One row. Takes no locks.
SELECT greatest(
  (SELECT sum(greatest(c.reltuples, 0))::bigint FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = 'boxledger.events'::regclass),
  (SELECT position FROM boxledger.events ORDER BY transaction_id DESC, position DESC LIMIT 1), 0)::text AS events
