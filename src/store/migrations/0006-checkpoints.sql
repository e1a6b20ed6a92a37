-- Signed statements about the log: docs/log-format.md says what of an event they cover. Append only, as the log is.

CREATE OR REPLACE FUNCTION boxledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'boxledger.% is append only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;

-- Every key that has ever signed. Private keys are never in the database.
CREATE TABLE boxledger.checkpoint_keys (
  key_id text COLLATE "C" PRIMARY KEY,
  public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
  added_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER checkpoint_keys_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON boxledger.checkpoint_keys
  FOR EACH STATEMENT EXECUTE FUNCTION boxledger.refuse_change();

CREATE TABLE boxledger.checkpoints (
  sequence bigint PRIMARY KEY,
  -- The very text that was signed.
  body text COLLATE "C" NOT NULL,
  signature bytea NOT NULL CHECK (octet_length(signature) = 64),
  key_id text COLLATE "C" NOT NULL REFERENCES boxledger.checkpoint_keys,
  -- The last place covered, to find the checkpoint of an event by; the body says it as well, and what it says counts.
  to_transaction_id xid8 NOT NULL,
  to_position bigint NOT NULL,
  -- The leaves that the root was made of, 48 bytes each. Proves nothing by itself; shows which event differs when the root does.
  leaf_inputs bytea NOT NULL
);
ALTER TABLE boxledger.checkpoints ALTER COLUMN leaf_inputs SET STORAGE EXTERNAL;
CREATE INDEX checkpoints_place ON boxledger.checkpoints (to_transaction_id, to_position);
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON boxledger.checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION boxledger.refuse_change();

-- How far each sink has got: a sink that is down is caught up with from here.
CREATE TABLE boxledger.checkpoint_sinks (
  sink text COLLATE "C" PRIMARY KEY,
  sent_sequence bigint NOT NULL DEFAULT 0,
  failing_since timestamptz,
  last_error text
);
