-- Makes room for box rows that were folded afresh. Those of boxes that have left the database stay: here is nothing to fold
-- them from. The caller holds the table's lock.
DELETE FROM boxledger.boxes b
WHERE NOT EXISTS (SELECT FROM boxledger.archived_streams s WHERE s.stream_id = 'box/' || b.box_id)
