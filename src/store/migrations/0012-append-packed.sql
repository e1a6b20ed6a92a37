-- Appends are written from packed rows instead of nested JSON, because most of an append's cost was JSON that Postgres took apart
-- and put together again. What a program reads back only as a whole is kept as it was sent.
ALTER TABLE boxledger.heads ALTER COLUMN snapshot TYPE json;
ALTER TABLE boxledger.boxes ALTER COLUMN view TYPE json;
-- A new box is soon changed, often together with its neighbours: half of a page left free lets all of it be updated in place.
ALTER TABLE boxledger.heads SET (fillfactor = 45);
ALTER TABLE boxledger.boxes SET (fillfactor = 45);

-- The rows of a packed table: fields are parted by U+001F and rows by U+001E, and U+001A stands for null
-- (src/store/append-rows.ts writes them). No row: an empty text. Fields are taken apart once, hence OFFSET 0.
CREATE FUNCTION boxledger.unpack(packed text) RETURNS TABLE (f text[]) LANGUAGE sql IMMUTABLE AS $$
  SELECT string_to_array(line, E'\x1f', E'\x1a') FROM string_to_table(packed, E'\x1e') AS line OFFSET 0
$$;

CREATE FUNCTION boxledger.rows_in(packed text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
  SELECT cardinality(string_to_array(packed, E'\x1e'))
$$;

DROP FUNCTION boxledger.append(jsonb);
DROP FUNCTION boxledger.append_together(jsonb);

-- Appends a batch of requests as a whole, or raises BX002 or a unique violation when any of them is not as its sender
-- expects: then nothing was written, and append_each finds out which. The move of a head (version and hash) is what tells
-- that a stream is elsewhere; a command's answer, a head or a box that is begun violates its key when it is there already.
-- Every parameter is a packed table. Returns the positions of the events, in their order. What there is nothing of is passed
-- over, because beginning a statement costs as much as several rows.
--
-- Locks, in this order: commands, heads by stream id, settled effects and cancelled ones by id, boxes. Rows to change are
-- found by arrays of their keys, in the order of an index: the planner cannot know that a batch names a handful of rows, and
-- would read whole tables for it, most of all by a plan that it made while they were small. Until Postgres 18 a scan that
-- is switched off costs so much on paper that every append would be compiled: hence no JIT.
CREATE FUNCTION boxledger.append_together(commands text, moved_heads text, begun_heads text, settled_effects text,
  cancelled_effects text, new_events text, new_effects text, changed_boxes text, new_boxes text)
RETURNS json LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  met bigint;
  positions json := '[]';
BEGIN
  INSERT INTO boxledger.commands (tenant, command_id, digest, answer_kind, stream_id, version, answered_at)
  SELECT f[1], f[2], f[3], f[4], f[5], f[6]::bigint, f[7]::timestamptz FROM boxledger.unpack(commands);

  IF moved_heads <> '' THEN
    UPDATE boxledger.heads h
    SET version = f[4]::bigint, hash = decode(f[5], 'hex'), fingerprint = f[6], snapshot = f[7]::json
    FROM boxledger.unpack(moved_heads)
    WHERE h.stream_id = ANY (ARRAY(SELECT k.f[1] FROM boxledger.unpack(moved_heads) k)) AND h.stream_id = f[1]
      AND h.version = f[2]::bigint AND h.hash = decode(f[3], 'hex');
    GET DIAGNOSTICS met = ROW_COUNT;
    IF met <> boxledger.rows_in(moved_heads) THEN RAISE SQLSTATE 'BX002'; END IF;
  END IF;

  IF begun_heads <> '' THEN
    INSERT INTO boxledger.heads (stream_id, tenant, version, hash, fingerprint, snapshot)
    SELECT f[1], f[2], f[3]::bigint, decode(f[4], 'hex'), f[5], f[6]::json FROM boxledger.unpack(begun_heads);
  END IF;

  IF settled_effects <> '' THEN
    UPDATE boxledger.effects e SET state = 'settled', lease_until = NULL
    FROM boxledger.unpack(settled_effects)
    WHERE e.effect_id = ANY (ARRAY(SELECT k.f[1] FROM boxledger.unpack(settled_effects) k)) AND e.effect_id = f[1]
      AND e.attempt = f[2]::integer AND e.state = 'claimed';
    GET DIAGNOSTICS met = ROW_COUNT;
    IF met <> boxledger.rows_in(settled_effects) THEN RAISE SQLSTATE 'BX002'; END IF;
  END IF;

  IF cancelled_effects <> '' THEN
    UPDATE boxledger.effects SET state = 'cancelled', lease_until = NULL
    WHERE effect_id = ANY (ARRAY(SELECT f[1] FROM boxledger.unpack(cancelled_effects)))
      AND state IN ('pending', 'claimed');
  END IF;

  IF new_events <> '' THEN
    WITH written AS (
      INSERT INTO boxledger.events (stream_id, version, type, schema_version, data, hash, occurred_at, tenant, actor_kind,
        actor_id, reason, command_id, correlation_id, causation_id, traceparent)
      SELECT f[1], f[2]::bigint, f[3], f[4]::integer, f[5]::jsonb, decode(f[6], 'hex'), f[7]::timestamptz, f[8], f[9],
        f[10], f[11], f[12], f[13], f[14], f[15]
      FROM boxledger.unpack(new_events)
      RETURNING position)
    SELECT json_agg(position ORDER BY position) INTO positions FROM written;
  END IF;

  IF new_effects <> '' THEN
    INSERT INTO boxledger.effects (effect_id, kind, tenant, box_id, generation, host_id, epoch, args, not_before,
      deadline, created_at, correlation_id, due_at)
    SELECT f[1], f[2], f[3], f[4], f[5]::integer, f[6], f[7]::integer, f[8]::jsonb, f[9]::timestamptz,
      f[10]::timestamptz, f[11]::timestamptz, f[12], coalesce(f[9]::timestamptz, statement_timestamp())
    FROM boxledger.unpack(new_effects);
  END IF;

  IF changed_boxes <> '' THEN
    UPDATE boxledger.boxes b
    SET name = f[2], state = f[3], labels = f[4]::jsonb, host_id = f[5], version = f[6]::bigint,
      updated_at = f[7]::timestamptz, view = f[8]::json
    FROM boxledger.unpack(changed_boxes)
    WHERE b.box_id = ANY (ARRAY(SELECT k.f[1] FROM boxledger.unpack(changed_boxes) k)) AND b.box_id = f[1];
    GET DIAGNOSTICS met = ROW_COUNT;
    IF met <> boxledger.rows_in(changed_boxes) THEN RAISE SQLSTATE 'BX002'; END IF;
  END IF;

  IF new_boxes <> '' THEN
    INSERT INTO boxledger.boxes (box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view)
    SELECT f[1], f[2], f[3], f[4], f[5]::jsonb, f[6], f[7]::bigint, f[8]::timestamptz, f[8]::timestamptz, f[9]::json
    FROM boxledger.unpack(new_boxes);
  END IF;
  RETURN positions;
END $$;
