-- Makes room for heads that were folded afresh. Those of streams that have left the database stay: here is nothing to fold
-- them from. The caller holds the table's lock.
DELETE FROM boxledger.heads h
WHERE NOT EXISTS (SELECT FROM boxledger.archived_streams s WHERE s.stream_id = h.stream_id)
