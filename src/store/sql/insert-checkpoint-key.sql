-- Makes a public key known, if it is not. $1 key id, $2 the key (hexadecimal). No row.
INSERT INTO boxledger.checkpoint_keys (key_id, public_key) VALUES ($1, decode($2, 'hex')) ON CONFLICT DO NOTHING
