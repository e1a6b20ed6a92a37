-- Which execs a box has had, for lists, and which of those on a host have not ended, for the host's next start: without
-- reading all that ever were. A table of its own, since an index over snapshots would have to be written with every change
-- of every head. It takes the place of `open_execs`, which knew neither box nor host.
CREATE TABLE boxledger.execs (
  stream_id text COLLATE "C" PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  box_id text COLLATE "C" NOT NULL,
  requested_at timestamptz(3) NOT NULL,
  is_open boolean NOT NULL
);
CREATE INDEX execs_of_box ON boxledger.execs (box_id, requested_at, stream_id);
CREATE INDEX execs_open ON boxledger.execs (stream_id) WHERE is_open;

INSERT INTO boxledger.execs
SELECT e.stream_id, e.tenant, e.data ->> 'boxId', e.occurred_at, o.stream_id IS NOT NULL
FROM boxledger.heads h
JOIN boxledger.events e ON e.stream_id = h.stream_id AND e.version = 1
LEFT JOIN boxledger.open_execs o ON o.stream_id = h.stream_id
WHERE h.stream_id >= 'exec/' AND h.stream_id < 'exec0';

-- A head that an earlier program made says neither box nor time; it is folded afresh before it is written again.
CREATE OR REPLACE FUNCTION boxledger.follow_exec() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  is_open CONSTANT boolean := NEW.snapshot ->> 'value' IN ('requested', 'running');
BEGIN
  IF NEW.snapshot #>> '{context,boxId}' IS NOT NULL THEN
    INSERT INTO boxledger.execs AS e (stream_id, tenant, box_id, requested_at, is_open)
    VALUES (NEW.stream_id, NEW.tenant, NEW.snapshot #>> '{context,boxId}',
      (NEW.snapshot #>> '{context,requestedAt}')::timestamptz, is_open)
    ON CONFLICT (stream_id) DO UPDATE SET is_open = EXCLUDED.is_open WHERE e.is_open <> EXCLUDED.is_open;
  END IF;
  RETURN NULL;
END $$;

DROP TABLE boxledger.open_execs;
