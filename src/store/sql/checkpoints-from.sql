-- Checkpoints with a sequence of at least $1, in order, $2 most rows. Takes no locks.
SELECT body, encode(signature, 'hex') AS signature
FROM boxledger.checkpoints
WHERE sequence >= $1
ORDER BY sequence
LIMIT $2
