-- Streams whose head has one of the hashes $1 (hexadecimal). Takes no locks; reads all heads.
SELECT stream_id, version::text, encode(hash, 'hex') AS hash
FROM boxledger.heads
WHERE encode(hash, 'hex') = ANY ($1::text[])
