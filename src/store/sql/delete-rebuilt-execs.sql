-- Makes room for execs that the trigger on heads fills in again. Those of streams that have left the database stay, as their
-- heads do. Takes row locks.
DELETE FROM boxledger.execs e
WHERE NOT EXISTS (SELECT FROM boxledger.archived_streams s WHERE s.stream_id = e.stream_id)
