-- Number of events after the place $1 (transaction id), $2 (position). One row. Takes no locks.
SELECT count(*)::text AS count FROM boxledger.events WHERE (transaction_id, position) > ($1::xid8, $2::bigint)
  AND transaction_id >= $1::xid8 -- by this partitions are passed over
