-- Forgets commands that were answered long ago, in one stretch of the table. $1 first page and $2 page after the last,
-- $3 milliseconds that an answer is kept. No rows; the count tells how many are gone. Locks what it deletes.
DELETE FROM boxledger.commands
WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
  AND answered_at < statement_timestamp() - $3::float8 * interval '1 millisecond'
