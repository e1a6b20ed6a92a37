-- Every key that has ever signed, with the first and the last checkpoint signed by it (null: none yet). Takes no locks.
SELECT k.key_id, encode(k.public_key, 'hex') AS public_key, min(c.sequence)::integer AS first_sequence,
  max(c.sequence)::integer AS last_sequence
FROM boxledger.checkpoint_keys k LEFT JOIN boxledger.checkpoints c USING (key_id)
GROUP BY k.key_id
ORDER BY first_sequence NULLS LAST, k.added_at
