-- What has left the database, oldest first. A row for each archive. Takes no locks.
SELECT number, file, encode(sha256, 'hex') AS sha256, events::float8 AS events, from_sequence::integer AS from_sequence,
  to_sequence::integer AS to_sequence, to_transaction_id::text, to_position::text
FROM boxledger.archives
ORDER BY number
