-- Adds a checkpoint. $1 sequence, $2 body, $3 signature (hexadecimal), $4 key id, $5 transaction id and $6 position of the last
-- place covered, $7 leaf inputs. No row.
INSERT INTO boxledger.checkpoints (sequence, body, signature, key_id, to_transaction_id, to_position, leaf_inputs)
VALUES ($1, $2, decode($3, 'hex'), $4, $5::xid8, $6, $7)
