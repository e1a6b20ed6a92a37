-- Lets boxes and effects be updated in place (HOT). An update that changes a column which any index or any index's predicate
-- names is written to every index of the table. The predicates named `state`, which hardly an update leaves alone; now
-- they name a column that changes only at the end.
ALTER TABLE boxledger.boxes ADD COLUMN removed boolean NOT NULL GENERATED ALWAYS AS (state = 'removed') STORED;
DROP INDEX boxledger.boxes_live_name, boxledger.boxes_live_created, boxledger.boxes_labels;
CREATE UNIQUE INDEX boxes_live_name ON boxledger.boxes (tenant, name) WHERE NOT removed;
CREATE INDEX boxes_live_created ON boxledger.boxes (tenant, created_at, box_id) WHERE NOT removed;
CREATE INDEX boxes_labels ON boxledger.boxes USING gin (labels jsonb_path_ops)
  WHERE NOT removed AND labels <> '{}'::jsonb;

ALTER TABLE boxledger.effects
  ADD COLUMN open boolean NOT NULL GENERATED ALWAYS AS (state IN ('pending', 'claimed')) STORED;
DROP INDEX boxledger.effects_unqueued, boxledger.effects_overdue, boxledger.effects_held;
CREATE INDEX effects_unqueued ON boxledger.effects (coalesce(last_enqueued_at, '-infinity'), created_at) WHERE open;
CREATE INDEX effects_overdue ON boxledger.effects (deadline) WHERE open;
-- For what a host holds: only effects placed on it.
CREATE INDEX effects_placed ON boxledger.effects (host_id) WHERE open;

-- As in 0002, but by the index above.
CREATE OR REPLACE FUNCTION boxledger.explain_violation(request jsonb, violated text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT CASE violated
    WHEN 'boxes_live_name' THEN jsonb_build_object('kind', 'name-taken', 'name', coalesce(
      (SELECT b.name FROM jsonb_array_elements(request -> 'streams') s
       JOIN boxledger.boxes b ON b.tenant = s #>> '{row,tenant}' AND b.name = s #>> '{row,name}'
         AND NOT b.removed AND b.box_id <> s #>> '{row,boxId}'
       LIMIT 1),
      jsonb_path_query_first(request, '$.streams[*].row.name') #>> '{}'))
    -- Only where the head is missing: a stream that has events is then taken for a new one.
    WHEN 'events_stream_version' THEN jsonb_build_object('kind', 'version-conflict', 'streamId',
      (SELECT s ->> 'streamId' FROM jsonb_array_elements(request -> 'streams') s
       JOIN boxledger.events e ON e.stream_id = s ->> 'streamId'
         AND e.version = (s ->> 'expectedVersion')::bigint + 1
       LIMIT 1))
  END
$$;
