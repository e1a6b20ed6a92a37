-- When a box was last used, and how many execs it has had: from the log, so that both outlast the process that counts. What an
-- exec came to is kept with it; of copies, a row each, in a table that only grows, so that two appends never wait for one row.
ALTER TABLE boxledger.execs
  ADD COLUMN ended_at timestamptz(3),
  ADD COLUMN is_error boolean NOT NULL DEFAULT false;

CREATE TABLE boxledger.copies (
  stream_id text COLLATE "C" PRIMARY KEY,
  box_id text COLLATE "C" NOT NULL,
  ended_at timestamptz(3) NOT NULL
);
CREATE INDEX copies_of_box ON boxledger.copies (box_id, ended_at);

UPDATE boxledger.execs x
SET ended_at = (SELECT e.occurred_at FROM boxledger.events e WHERE e.stream_id = h.stream_id AND e.version = h.version),
  is_error = h.snapshot ->> 'value' IN ('failed', 'lost')
FROM boxledger.heads h
WHERE h.stream_id = x.stream_id AND NOT x.is_open;

INSERT INTO boxledger.copies
SELECT h.stream_id, e.data ->> 'boxId', e.occurred_at
FROM boxledger.heads h
JOIN boxledger.events e ON e.stream_id = h.stream_id AND e.version = h.version
WHERE h.stream_id >= 'copy/' AND h.stream_id < 'copy0';

-- A head that an earlier program made says less; it is folded afresh before it is written again.
CREATE OR REPLACE FUNCTION boxledger.follow_exec() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  state CONSTANT text := NEW.snapshot ->> 'value';
  is_open CONSTANT boolean := state IN ('requested', 'running');
BEGIN
  IF NEW.snapshot #>> '{context,boxId}' IS NOT NULL THEN
    INSERT INTO boxledger.execs AS e (stream_id, tenant, box_id, requested_at, is_open, ended_at, is_error)
    VALUES (NEW.stream_id, NEW.tenant, NEW.snapshot #>> '{context,boxId}',
      (NEW.snapshot #>> '{context,requestedAt}')::timestamptz, is_open,
      (NEW.snapshot #>> '{context,endedAt}')::timestamptz, state IN ('failed', 'lost'))
    ON CONFLICT (stream_id) DO UPDATE
    SET is_open = EXCLUDED.is_open, ended_at = EXCLUDED.ended_at, is_error = EXCLUDED.is_error
    WHERE e.is_open <> EXCLUDED.is_open;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION boxledger.follow_copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.snapshot #>> '{context,boxId}' IS NOT NULL THEN
    INSERT INTO boxledger.copies (stream_id, box_id, ended_at)
    VALUES (NEW.stream_id, NEW.snapshot #>> '{context,boxId}', (NEW.snapshot #>> '{context,endedAt}')::timestamptz)
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER heads_follow_copy AFTER INSERT OR UPDATE ON boxledger.heads
  FOR EACH ROW WHEN (NEW.stream_id >= 'copy/' AND NEW.stream_id < 'copy0') EXECUTE FUNCTION boxledger.follow_copy();
