-- The archive that the stream $1 ends in, if it has left the database and had events above version $2. One row or none. Takes
-- no locks.
SELECT a.file
FROM boxledger.archived_streams s JOIN boxledger.archives a ON a.number = s.archive
WHERE s.stream_id = $1 AND s.version > $2
