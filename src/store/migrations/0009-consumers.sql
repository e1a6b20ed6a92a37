-- Readers of the log that are known by name, and how far each has come.
CREATE TABLE boxledger.consumers (
  name text COLLATE "C" PRIMARY KEY,
  -- After the last event that it has dealt with.
  cursor text COLLATE "C" NOT NULL DEFAULT '',
  -- Grows whenever the consumer changes hands: what an earlier holder still says is not heard.
  lease_number bigint NOT NULL DEFAULT 1,
  -- Who runs it; null when nobody does.
  holder text,
  lease_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT statement_timestamp()
) WITH (fillfactor = 50);
