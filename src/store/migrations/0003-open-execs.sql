-- Execs that have not ended, so that those which a killed server left behind are found without reading all that ever were.
-- A table of its own, since an index over snapshots would have to be written with every change of every head.
CREATE TABLE boxledger.open_execs (
  stream_id text COLLATE "C" PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL
);

CREATE FUNCTION boxledger.follow_exec() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.snapshot ->> 'value' IN ('requested', 'running') THEN
    INSERT INTO boxledger.open_execs (stream_id, tenant) VALUES (NEW.stream_id, NEW.tenant) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM boxledger.open_execs WHERE stream_id = NEW.stream_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER heads_follow_exec AFTER INSERT OR UPDATE ON boxledger.heads
  FOR EACH ROW WHEN (NEW.stream_id >= 'exec/' AND NEW.stream_id < 'exec0') EXECUTE FUNCTION boxledger.follow_exec();
