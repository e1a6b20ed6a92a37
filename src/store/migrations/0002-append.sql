-- The one way into the log. Requests are the JSON that src/store/append-request.ts writes; each is appended whole or not at
-- all, and one that fails leaves the others alone. Answers are in the order of the requests.
--
-- Locks, always in this order, so that two appends cannot wait for each other: the command's row, heads by stream id,
-- the settled effect, cancelled effects by id. An append that must wait sees afterwards what the other one committed.
-- The requests of one call keep their locks until its end: who sends several orders them by stream id.

-- Appends one request. A refusal after the first write is raised as BX001 with the answer as its detail, which undoes it.
CREATE FUNCTION boxledger.append_one(request jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  stream jsonb;
  added jsonb;
  positions jsonb := '[]';
BEGIN
  INSERT INTO boxledger.commands (tenant, command_id, digest, answer_kind, stream_id, version, answered_at)
  VALUES (request ->> 'tenant', request ->> 'commandId', request ->> 'digest', request ->> 'answerKind',
          request ->> 'answerStreamId', (request ->> 'answerVersion')::bigint, (request ->> 'occurredAt')::timestamptz)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RETURN (
      SELECT CASE WHEN c.digest = request ->> 'digest'
        THEN jsonb_build_object('kind', 'answered-before', 'answer', jsonb_build_object(
               'kind', c.answer_kind, 'streamId', c.stream_id, 'version', c.version))
        ELSE jsonb_build_object('kind', 'command-reused') END
      FROM boxledger.commands c
      WHERE c.tenant = request ->> 'tenant' AND c.command_id = request ->> 'commandId');
  END IF;

  FOR stream IN SELECT s FROM jsonb_array_elements(request -> 'streams') s ORDER BY s ->> 'streamId' COLLATE "C" LOOP
    PERFORM boxledger.move_head(request ->> 'tenant', stream);
  END LOOP;

  IF request -> 'settles' <> 'null' THEN
    UPDATE boxledger.effects SET state = 'settled', lease_until = NULL
    WHERE effect_id = request #>> '{settles,effectId}' AND state = 'claimed'
      AND attempt = (request #>> '{settles,attempt}')::integer;
    IF NOT FOUND THEN
      RAISE SQLSTATE 'BX001' USING DETAIL = jsonb_build_object('kind', 'claim-lost');
    END IF;
  END IF;

  FOR stream IN SELECT s FROM jsonb_array_elements(request -> 'streams') s LOOP
    WITH inserted AS (
      INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
        actor_id, reason, command_id, correlation_id, causation_id, traceparent, hash)
      SELECT e.version, (request ->> 'occurredAt')::timestamptz, e."schemaVersion", stream ->> 'streamId', e.type, e.data,
        request ->> 'tenant', request ->> 'actorKind', request ->> 'actorId', request ->> 'reason',
        request ->> 'commandId', request ->> 'correlationId', request ->> 'causationId', request ->> 'traceparent',
        decode(e.hash, 'hex')
      FROM jsonb_to_recordset(stream -> 'events')
        AS e (version bigint, "schemaVersion" integer, type text, data jsonb, hash text)
      ORDER BY e.version
      RETURNING version, position)
    SELECT jsonb_agg(position ORDER BY version) INTO added FROM inserted;
    positions := positions || jsonb_build_array(added);

    IF stream -> 'cancels' <> '[]' THEN
      PERFORM FROM boxledger.effects
      WHERE effect_id IN (SELECT jsonb_array_elements_text(stream -> 'cancels')) ORDER BY effect_id FOR UPDATE;
      UPDATE boxledger.effects SET state = 'cancelled', lease_until = NULL
      WHERE effect_id IN (SELECT jsonb_array_elements_text(stream -> 'cancels')) AND state IN ('pending', 'claimed');
    END IF;

    IF stream -> 'effects' <> '[]' THEN
      INSERT INTO boxledger.effects (effect_id, kind, tenant, box_id, generation, host_id, epoch, args, correlation_id,
        created_at, not_before, deadline, due_at)
      SELECT f."effectId", f.kind, f.tenant, f."boxId", f.generation, f."hostId", f.epoch, f.args,
        request ->> 'correlationId', (request ->> 'occurredAt')::timestamptz, f."notBefore", f.deadline,
        coalesce(f."notBefore", statement_timestamp())
      FROM jsonb_to_recordset(stream -> 'effects')
        AS f ("effectId" text, kind text, tenant text, "boxId" text, generation integer, "hostId" text, epoch integer,
              args jsonb, "notBefore" timestamptz, deadline timestamptz);
    END IF;

    IF stream -> 'row' <> 'null' THEN
      INSERT INTO boxledger.boxes AS b (box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view)
      SELECT r."boxId", r.tenant, r.name, r.state, r.labels, r."hostId", (stream ->> 'version')::bigint,
        (request ->> 'occurredAt')::timestamptz, (request ->> 'occurredAt')::timestamptz, r.view
      FROM jsonb_to_record(stream -> 'row')
        AS r ("boxId" text, tenant text, name text, state text, labels jsonb, "hostId" text, view jsonb)
      ON CONFLICT (box_id) DO UPDATE SET name = excluded.name, state = excluded.state, labels = excluded.labels,
        host_id = excluded.host_id, version = excluded.version, updated_at = excluded.updated_at, view = excluded.view;
    END IF;
  END LOOP;

  RETURN jsonb_build_object('kind', 'appended', 'positions', positions);
END $$;

-- Moves one stream's head from the version that the request expects; raises BX001 when it is elsewhere.
CREATE FUNCTION boxledger.move_head(tenant text, stream jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (stream ->> 'expectedVersion')::bigint = 0 THEN
    INSERT INTO boxledger.heads (stream_id, tenant, version, hash, fingerprint, snapshot)
    VALUES (stream ->> 'streamId', move_head.tenant, (stream ->> 'version')::bigint, decode(stream ->> 'hash', 'hex'),
            stream ->> 'fingerprint', stream -> 'snapshot')
    ON CONFLICT DO NOTHING;
  ELSE
    UPDATE boxledger.heads
    SET version = (stream ->> 'version')::bigint, hash = decode(stream ->> 'hash', 'hex'),
        fingerprint = stream ->> 'fingerprint', snapshot = stream -> 'snapshot'
    WHERE stream_id = stream ->> 'streamId' AND version = (stream ->> 'expectedVersion')::bigint
      AND hash = decode(stream ->> 'previousHash', 'hex');
  END IF;
  IF NOT FOUND THEN
    RAISE SQLSTATE 'BX001' USING
      DETAIL = jsonb_build_object('kind', 'version-conflict', 'streamId', stream ->> 'streamId');
  END IF;
END $$;

-- What a violated unique constraint means to the caller; null when it means a fault of ours.
CREATE FUNCTION boxledger.explain_violation(request jsonb, violated text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT CASE violated
    WHEN 'boxes_live_name' THEN jsonb_build_object('kind', 'name-taken', 'name', coalesce(
      (SELECT b.name FROM jsonb_array_elements(request -> 'streams') s
       JOIN boxledger.boxes b ON b.tenant = s #>> '{row,tenant}' AND b.name = s #>> '{row,name}'
         AND b.state <> 'removed' AND b.box_id <> s #>> '{row,boxId}'
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

CREATE FUNCTION boxledger.append(requests jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  request jsonb;
  answers jsonb := '[]';
  answer jsonb;
  refusal text;
BEGIN
  FOR request IN SELECT jsonb_array_elements(requests) LOOP
    BEGIN
      answer := boxledger.append_one(request);
    EXCEPTION
      WHEN SQLSTATE 'BX001' THEN
        GET STACKED DIAGNOSTICS refusal = PG_EXCEPTION_DETAIL;
        answer := refusal::jsonb;
      WHEN unique_violation THEN
        GET STACKED DIAGNOSTICS refusal = CONSTRAINT_NAME;
        answer := boxledger.explain_violation(request, refusal);
        IF answer IS NULL THEN RAISE; END IF;
    END;
    answers := answers || jsonb_build_array(answer);
  END LOOP;
  RETURN answers;
END $$;
