-- Appends requests one by one, each whole or not at all. $1 JSON array as src/store/append-request.ts writes it.
-- One row: the replies, a JSON array in the order of the requests. Locks as migrations/0002-append.sql says.
SELECT boxledger.append_each($1::jsonb) AS replies
