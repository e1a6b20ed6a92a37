-- Streams that have events of a transaction or a later one. $1 transaction id. Takes no locks.
SELECT DISTINCT stream_id
FROM boxledger.events
WHERE transaction_id >= $1::xid8
