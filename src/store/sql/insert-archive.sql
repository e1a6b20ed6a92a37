-- Notes what leaves the database. $1 number, $2 file, $3 SHA-256 (hexadecimal), $4 events, $5 and $6 first and last
-- checkpoint, $7 first transaction of its partitions and $8 first one after them, $9 transaction id and $10 position of its
-- last event. No row.
INSERT INTO boxledger.archives (number, file, sha256, events, from_sequence, to_sequence, begins, ends, to_transaction_id, to_position)
VALUES ($1, $2, decode($3, 'hex'), $4, $5, $6, $7::xid8, $8::xid8, $9::xid8, $10)
