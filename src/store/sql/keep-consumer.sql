-- Prolongs a lease, and notes how far the consumer has come. $1 name, $2 number of the lease, $3 milliseconds from now,
-- $4 cursor. One row, or none when it is in other hands. Locks the row.
UPDATE boxledger.consumers
SET lease_until = statement_timestamp() + $3 * interval '1 millisecond', cursor = $4
WHERE name = $1 AND lease_number = $2
RETURNING name
