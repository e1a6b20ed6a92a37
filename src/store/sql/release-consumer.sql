-- Hands a consumer back, for the next to take at once. $1 name, $2 number of the lease, $3 cursor. Locks the row.
UPDATE boxledger.consumers
SET holder = NULL, lease_until = NULL, cursor = $3
WHERE name = $1 AND lease_number = $2
