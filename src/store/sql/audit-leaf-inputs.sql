-- What the checkpoint $1 (sequence) was made of. One row or none. Takes no locks.
SELECT leaf_inputs FROM boxledger.checkpoints WHERE sequence = $1
