-- Sends a consumer to a place in the log, out of the hands of whoever runs it; makes it when it is new. $1 name, $2 cursor.
-- Locks the row.
INSERT INTO boxledger.consumers AS c (name, cursor)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE
SET cursor = excluded.cursor, lease_number = c.lease_number + 1, holder = NULL, lease_until = NULL
