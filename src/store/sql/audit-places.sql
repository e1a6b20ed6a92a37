-- Places of all events with one of the hashes $1 (hexadecimal). Takes no locks; reads all events.
SELECT transaction_id::text, position::text, encode(hash, 'hex') AS hash
FROM boxledger.events
WHERE encode(hash, 'hex') = ANY ($1::text[])
