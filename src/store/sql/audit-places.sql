-- Events with one of the hashes $1 (hexadecimal), and their places. Takes no locks; reads all events.
SELECT transaction_id::text, position::text, encode(hash, 'hex') AS hash, stream_id, version::text
FROM boxledger.events
WHERE encode(hash, 'hex') = ANY ($1::text[])
