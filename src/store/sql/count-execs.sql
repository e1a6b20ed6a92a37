-- How many execs box $1 has had, and how many of them could not be started or were lost. Takes no locks.
SELECT count(*)::integer AS execs, (count(*) FILTER (WHERE is_error))::integer AS errors
FROM boxledger.execs
WHERE box_id = $1
