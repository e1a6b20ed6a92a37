-- Boxes that are not removed and are called $1: at most two rows, as more than one is too many. Takes no locks.
SELECT box_id FROM boxledger.boxes WHERE name = $1 AND state <> 'removed' ORDER BY box_id LIMIT 2
