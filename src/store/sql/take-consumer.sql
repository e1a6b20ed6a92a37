-- Takes a consumer that nobody runs, or whose lease has run out; makes it when it is new. $1 name, $2 holder, $3 lease in
-- milliseconds. One row, or none while another runs it. Locks the row.
INSERT INTO boxledger.consumers AS c (name, holder, lease_until)
VALUES ($1, $2, statement_timestamp() + $3 * interval '1 millisecond')
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, lease_until = excluded.lease_until, lease_number = c.lease_number + 1
WHERE c.lease_until IS NULL OR c.lease_until <= statement_timestamp()
RETURNING c.name, c.lease_number, c.cursor
