-- Execs of a box, newest first. $1 box; $2 time of the request and $3 exec id before which; $4 most rows; $5 whether those
-- that have ended are wanted. Takes no locks.
SELECT substr(stream_id, 6) AS exec_id, requested_at
FROM boxledger.execs
WHERE box_id = $1 AND (requested_at, stream_id) < ($2::timestamptz, 'exec/' || $3) AND (is_open OR $5)
ORDER BY requested_at DESC, stream_id DESC
LIMIT $4
