-- Appends are nearly always as their senders expect, so a batch is first written as a whole, by one statement over all of
-- its requests; only when something is in the way is each request written by itself, as before, to find out which.

-- Writes all requests, or raises BX002 (or a unique violation) when any of them is not as its sender expects. The answers
-- are in the order of the requests. Locks heads in the order of their stream ids.
-- Rows are found by arrays of their keys and never by a scan: the planner cannot know that a batch names a handful of rows, and
-- would read whole tables for it, most of all by a plan that it made while they were small.
-- Until Postgres 18 a scan that is switched off costs so much on paper that every append would be compiled: hence no JIT.
CREATE FUNCTION boxledger.append_together(requests jsonb) RETURNS jsonb LANGUAGE plpgsql
SET enable_seqscan = off SET jit = off AS $$
DECLARE
  unmet bigint;
  answers jsonb;
BEGIN
  WITH request AS MATERIALIZED (
    SELECT * FROM ROWS FROM (jsonb_to_recordset(requests) AS (
      tenant text, "actorKind" text, "actorId" text, reason text, "commandId" text, "correlationId" text, "causationId" text,
      traceparent text, "occurredAt" timestamptz, digest text, "answerKind" text, "answerStreamId" text,
      "answerVersion" bigint, settles jsonb, streams jsonb)) WITH ORDINALITY AS r (
      tenant, actor_kind, actor_id, reason, command_id, correlation_id, causation_id,
      traceparent, occurred_at, digest, answer_kind, answer_stream_id,
      answer_version, settles, streams, request_number)),
  stream AS MATERIALIZED (
    SELECT r.request_number, r.tenant, r.occurred_at, r.correlation_id, s.*
    FROM request r, ROWS FROM (jsonb_to_recordset(r.streams) AS (
      "streamId" text, "expectedVersion" bigint, "previousHash" text, version bigint, hash text, fingerprint text,
      snapshot jsonb, events jsonb, effects jsonb, cancels jsonb, "row" jsonb)) WITH ORDINALITY AS s (
      stream_id, expected_version, previous_hash, version, hash, fingerprint,
      snapshot, events, effects, cancels, box, stream_number)),
  command AS (
    INSERT INTO boxledger.commands (tenant, command_id, digest, answer_kind, stream_id, version, answered_at)
    SELECT tenant, command_id, digest, answer_kind, answer_stream_id, answer_version, occurred_at FROM request
    ON CONFLICT DO NOTHING RETURNING 1),
  locked AS MATERIALIZED (
    SELECT h.stream_id FROM boxledger.heads h
    WHERE h.stream_id = ANY (ARRAY(SELECT stream_id FROM stream WHERE expected_version > 0))
    ORDER BY h.stream_id FOR UPDATE),
  moved AS (
    UPDATE boxledger.heads h
    SET version = s.version, hash = decode(s.hash, 'hex'), fingerprint = s.fingerprint, snapshot = s.snapshot
    FROM stream s JOIN locked l ON l.stream_id = s.stream_id
    WHERE h.stream_id = ANY (ARRAY(SELECT stream_id FROM locked)) AND h.stream_id = s.stream_id AND h.version = s.expected_version AND h.hash = decode(s.previous_hash, 'hex')
    RETURNING 1),
  begun AS (
    INSERT INTO boxledger.heads (stream_id, tenant, version, hash, fingerprint, snapshot)
    SELECT stream_id, tenant, version, decode(hash, 'hex'), fingerprint, snapshot
    FROM stream WHERE expected_version = 0 ORDER BY stream_id
    ON CONFLICT DO NOTHING RETURNING 1),
  settled AS (
    UPDATE boxledger.effects f SET state = 'settled', lease_until = NULL
    FROM request r
    WHERE f.effect_id = ANY (ARRAY(SELECT settles ->> 'effectId' FROM request)) AND f.effect_id = r.settles ->> 'effectId' AND f.attempt = (r.settles ->> 'attempt')::integer AND f.state = 'claimed'
    RETURNING 1),
  cancelled AS (
    UPDATE boxledger.effects SET state = 'cancelled', lease_until = NULL
    WHERE effect_id = ANY (ARRAY(SELECT jsonb_array_elements_text(cancels) FROM stream))
      AND effect_id NOT IN (SELECT settles ->> 'effectId' FROM request WHERE settles <> 'null')
      AND state IN ('pending', 'claimed')),
  written AS (
    INSERT INTO boxledger.events (version, occurred_at, schema_version, stream_id, type, data, tenant, actor_kind,
      actor_id, reason, command_id, correlation_id, causation_id, traceparent, hash)
    SELECT e.version, r.occurred_at, e."schemaVersion", s.stream_id, e.type, e.data, r.tenant, r.actor_kind,
      r.actor_id, r.reason, r.command_id, r.correlation_id, r.causation_id, r.traceparent, decode(e.hash, 'hex')
    FROM stream s JOIN request r USING (request_number), jsonb_to_recordset(s.events)
      AS e (version bigint, "schemaVersion" integer, type text, data jsonb, hash text)
    ORDER BY s.request_number, s.stream_number, e.version
    RETURNING stream_id, version, position),
  asked AS (
    INSERT INTO boxledger.effects (effect_id, kind, tenant, box_id, generation, host_id, epoch, args, correlation_id,
      created_at, not_before, deadline, due_at)
    SELECT f."effectId", f.kind, f.tenant, f."boxId", f.generation, f."hostId", f.epoch, f.args, s.correlation_id,
      s.occurred_at, f."notBefore", f.deadline, coalesce(f."notBefore", statement_timestamp())
    FROM stream s, jsonb_to_recordset(s.effects)
      AS f ("effectId" text, kind text, tenant text, "boxId" text, generation integer, "hostId" text, epoch integer,
            args jsonb, "notBefore" timestamptz, deadline timestamptz)),
  shown AS (
    INSERT INTO boxledger.boxes AS b (box_id, tenant, name, state, labels, host_id, version, created_at, updated_at, view)
    SELECT r."boxId", r.tenant, r.name, r.state, r.labels, r."hostId", s.version, s.occurred_at, s.occurred_at, r.view
    FROM stream s, jsonb_to_record(s.box)
      AS r ("boxId" text, tenant text, name text, state text, labels jsonb, "hostId" text, view jsonb)
    WHERE s.box <> 'null'
    ON CONFLICT (box_id) DO UPDATE SET name = excluded.name, state = excluded.state, labels = excluded.labels,
      host_id = excluded.host_id, version = excluded.version, updated_at = excluded.updated_at, view = excluded.view),
  positions AS (
    SELECT s.request_number, s.stream_number, jsonb_agg(w.position ORDER BY w.version) AS of_stream
    FROM stream s JOIN written w USING (stream_id) GROUP BY s.request_number, s.stream_number),
  answer AS (
    SELECT r.request_number, jsonb_build_object('kind', 'appended', 'positions', coalesce(
      (SELECT jsonb_agg(p.of_stream ORDER BY p.stream_number) FROM positions p
       WHERE p.request_number = r.request_number), '[]')) AS body
    FROM request r)
  SELECT (SELECT count(*) FROM request) - (SELECT count(*) FROM command)
      + (SELECT count(*) FROM stream) - (SELECT count(*) FROM moved) - (SELECT count(*) FROM begun)
      + (SELECT count(*) FROM request WHERE settles <> 'null') - (SELECT count(*) FROM settled),
    (SELECT jsonb_agg(body ORDER BY request_number) FROM answer)
  INTO unmet, answers;
  IF unmet <> 0 THEN RAISE SQLSTATE 'BX002'; END IF;
  RETURN answers;
END $$;

ALTER FUNCTION boxledger.append(jsonb) RENAME TO append_each;

CREATE FUNCTION boxledger.append(requests jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN boxledger.append_together(requests);
EXCEPTION
  WHEN SQLSTATE 'BX002' OR unique_violation THEN RETURN boxledger.append_each(requests);
END $$;
