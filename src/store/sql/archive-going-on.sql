-- Fills this connection's own table with the streams of all partitions before the transaction $1 that are not to leave the
-- database: those that may go on, and those that do go on after it. A box is over once it is removed, an exec once it is not
-- open; of anything else nobody knows. A stream that is over never begins again. Takes no locks.
INSERT INTO archive_going_on (stream_id)
SELECT s.stream_id
FROM (SELECT stream_id, max(version) AS version FROM boxledger.events WHERE transaction_id < $1::xid8 GROUP BY stream_id) s
LEFT JOIN boxledger.heads h ON h.stream_id = s.stream_id
WHERE h.version IS DISTINCT FROM s.version
  OR CASE split_part(s.stream_id, '/', 1)
    WHEN 'box' THEN NOT EXISTS (SELECT FROM boxledger.boxes b WHERE b.box_id = substr(s.stream_id, 5) AND b.removed)
    WHEN 'exec' THEN EXISTS (SELECT FROM boxledger.execs o WHERE o.stream_id = s.stream_id AND o.is_open)
    ELSE true END
