-- Of the streams $1, those that have left the database. Takes no locks.
SELECT stream_id FROM boxledger.archived_streams WHERE stream_id = ANY ($1::text[])
