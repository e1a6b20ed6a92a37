-- Makes room for copies that the trigger on heads fills in again. Those of streams that have left the database stay, as their
-- heads do. Takes row locks.
DELETE FROM boxledger.copies c
WHERE NOT EXISTS (SELECT FROM boxledger.archived_streams s WHERE s.stream_id = c.stream_id)
