-- The newest checkpoint. One row or none. Takes no locks.
SELECT body, encode(signature, 'hex') AS signature
FROM boxledger.checkpoints
ORDER BY sequence DESC
LIMIT 1
