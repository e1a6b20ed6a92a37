-- Notes which streams leave the database with the archive $1: all that are in the partitions before the transaction $2 but for
-- those that this connection's own table names. No row.
INSERT INTO boxledger.archived_streams (stream_id, version, archive)
SELECT stream_id, max(version), $1
FROM boxledger.events
WHERE transaction_id < $2::xid8 AND NOT EXISTS (SELECT FROM archive_going_on g WHERE g.stream_id = events.stream_id)
GROUP BY stream_id
