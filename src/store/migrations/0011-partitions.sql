-- Partitions of the log, so that what is old can leave the database as whole files (`boxledger archive`).
--
-- By transaction_id, the first column of the order that readers follow: a partition is then a stretch of that order, no two
-- interleave, a reader by cursor opens only those from its place on, and the oldest ones are a beginning of the log. (By
-- position it would be none: positions are given out before the commit.) A bound cannot lie where a partition has got full,
-- because to move one takes a lock that waits for every reader and lets no append past meanwhile. So bounds are set ahead:
-- there is always a partition for the present and the next one, and to attach one that is empty takes a lock that neither
-- readers nor appends notice. How many transaction ids it spans follows from how many events the last full one held; its
-- size is a wish, not a promise. There is no default partition: each attachment would lock it against all readers, and what
-- fell into it would be in the way of the partition it belongs to. An append that finds no partition is undone by the server
-- as a whole; the store then calls keep_partitions and appends again. Checkpoints end where a partition ends
-- (sql/leaves-after.sql), so that the checkpoints of a partition sign it and nothing else.
--
-- That a version is there once is kept by an index for each partition, and over all of them by the head alone, which
-- moves from the expected version and hash or not at all.

CREATE TABLE boxledger.partitions (
  -- Its table is events_ and this number.
  number integer PRIMARY KEY,
  -- Of the transactions in it: the first, and the first after it.
  begins xid8 NOT NULL,
  ends xid8 NOT NULL UNIQUE,
  CHECK (begins < ends)
);

-- What has left the database. Each goes on where the one before has ended.
CREATE TABLE boxledger.archives (
  number integer PRIMARY KEY,
  file text NOT NULL,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  events bigint NOT NULL CHECK (events > 0),
  from_sequence bigint NOT NULL,
  to_sequence bigint NOT NULL REFERENCES boxledger.checkpoints,
  -- Of the transactions of its partitions: the first, and the first after them.
  begins xid8 NOT NULL,
  ends xid8 NOT NULL,
  -- The place of its last event.
  to_transaction_id xid8 NOT NULL,
  to_position bigint NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT statement_timestamp()
);
CREATE TRIGGER archives_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON boxledger.archives
  FOR EACH STATEMENT EXECUTE FUNCTION boxledger.refuse_change();

-- Streams that are over and have left the database from their first event to their last, and the archive with the last.
CREATE TABLE boxledger.archived_streams (
  stream_id text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  archive integer NOT NULL REFERENCES boxledger.archives
);

-- The table that is there becomes the first partition, unmoved. Only the sequence of its positions is made anew, and goes on.
ALTER TABLE boxledger.events RENAME TO events_1;
ALTER TABLE boxledger.events_1 RENAME CONSTRAINT events_stream_version TO events_1_stream_version;
ALTER INDEX boxledger.events_order RENAME TO events_1_order;
ALTER INDEX boxledger.events_correlation RENAME TO events_1_correlation;
CREATE TABLE boxledger.events (LIKE boxledger.events_1 INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (transaction_id);
DO $$
DECLARE
  next bigint;
BEGIN
  SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END INTO next FROM boxledger.events_position_seq;
  ALTER TABLE boxledger.events_1 ALTER COLUMN position DROP IDENTITY;
  EXECUTE format('ALTER TABLE boxledger.events ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY (START %s)', next);
END $$;
CREATE UNIQUE INDEX events_order ON boxledger.events (transaction_id, position);
CREATE INDEX events_correlation ON boxledger.events USING hash (correlation_id);
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON boxledger.events
  FOR EACH STATEMENT EXECUTE FUNCTION boxledger.refuse_change();

-- The number that the next transaction's events get.
CREATE FUNCTION boxledger.next_transaction() RETURNS xid8 LANGUAGE sql STABLE AS $$
  SELECT boxledger.numbered(max(number), pg_snapshot_xmax(pg_current_snapshot())) FROM boxledger.log_epochs
$$;

-- Makes a table for events that is like the log and no part of it yet. What refuses change is on it from the beginning: rights
-- and triggers of the log do not hold for who names its partition.
CREATE FUNCTION boxledger.make_partition(name text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TABLE boxledger.%I (LIKE boxledger.events INCLUDING CONSTRAINTS, CONSTRAINT %I UNIQUE (stream_id, version))',
    name, name || '_stream_version');
  EXECUTE format('CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON boxledger.%I
    FOR EACH STATEMENT EXECUTE FUNCTION boxledger.refuse_change()', name);
  EXECUTE format('CREATE UNIQUE INDEX %I ON boxledger.%I (transaction_id, position)', name || '_order', name);
  EXECUTE format('CREATE INDEX %I ON boxledger.%I USING hash (correlation_id)', name || '_correlation', name);
END $$;

-- Adds a partition from where the last one ends up to a bound. Waits for nobody but others that do the same.
CREATE FUNCTION boxledger.add_partition(bound xid8) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  last boxledger.partitions;
  name text;
BEGIN
  LOCK TABLE ONLY boxledger.events IN SHARE UPDATE EXCLUSIVE MODE;
  SELECT * INTO STRICT last FROM boxledger.partitions ORDER BY ends DESC LIMIT 1;
  name := 'events_' || last.number + 1;
  PERFORM boxledger.make_partition(name);
  EXECUTE format('ALTER TABLE boxledger.events ATTACH PARTITION boxledger.%I FOR VALUES FROM (%L) TO (%L)',
    name, last.ends, bound);
  INSERT INTO boxledger.partitions (number, begins, ends) VALUES (last.number + 1, last.ends, bound);
END $$;

-- How many transactions the next partition is to span, so that it holds about so many events: by what the last full one
-- held, within a factor of 16 and between 2^16 and 2^28; one for each event as long as none is full.
CREATE FUNCTION boxledger.partition_span(wanted_events bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
  WITH full_one AS (
    SELECT begins, ends, NULL::bigint AS events FROM boxledger.partitions WHERE ends <= boxledger.next_transaction()
    UNION ALL SELECT begins, ends, events FROM boxledger.archives
    ORDER BY ends DESC LIMIT 1),
  measured AS (
    SELECT ends::text::bigint - begins::text::bigint AS span, coalesce(events,
      (SELECT e.position FROM boxledger.events e WHERE e.transaction_id >= begins AND e.transaction_id < ends
       ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1)
      - (SELECT e.position FROM boxledger.events e WHERE e.transaction_id >= begins AND e.transaction_id < ends
         ORDER BY e.transaction_id, e.position LIMIT 1) + 1, 0) AS events
    -- Over the border of an epoch the numbers leap, and no rate follows from them.
    FROM full_one WHERE begins::text::bigint >> 48 = ends::text::bigint >> 48)
  SELECT least(268435456, greatest(65536, coalesce(
    (SELECT least(16 * span, greatest(span / 16, (wanted_events::numeric * span / greatest(events, 1))::bigint)) FROM measured),
    wanted_events)))
$$;

-- Makes sure that there is a partition for the present and one after it; returns how many were missing. With the rights of
-- its owner: the service appends, and may change no table. Looks and does nothing else nearly always, and locks nothing then.
CREATE FUNCTION boxledger.keep_partitions(wanted_events bigint DEFAULT 1000000) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  added integer := 0;
  last xid8;
BEGIN
  IF pg_is_in_recovery() OR EXISTS (SELECT FROM boxledger.partitions WHERE begins > boxledger.next_transaction()) THEN
    RETURN 0;
  END IF;
  LOCK TABLE ONLY boxledger.events IN SHARE UPDATE EXCLUSIVE MODE;
  WHILE NOT EXISTS (SELECT FROM boxledger.partitions WHERE begins > boxledger.next_transaction()) LOOP
    SELECT ends INTO STRICT last FROM boxledger.partitions ORDER BY ends DESC LIMIT 1;
    IF last < boxledger.next_transaction() THEN last := boxledger.next_transaction(); END IF;
    PERFORM boxledger.add_partition((last::text::bigint + boxledger.partition_span(wanted_events))::text::xid8);
    added := added + 1;
  END LOOP;
  RETURN added;
END $$;

-- As in 0008, and its events have a partition from the first on.
CREATE OR REPLACE FUNCTION boxledger.keep_epoch() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  home record;
  latest boxledger.log_epochs;
BEGIN
  SELECT * INTO latest FROM boxledger.log_epochs ORDER BY number DESC LIMIT 1;
  IF pg_is_in_recovery() THEN RETURN latest.number; END IF;
  SELECT * INTO home FROM boxledger.log_home();
  IF (latest.system_identifier, latest.database_oid, latest.timeline)
    = (home.system_identifier, home.database_oid, home.timeline) THEN RETURN latest.number; END IF;
  LOCK TABLE boxledger.events IN ACCESS EXCLUSIVE MODE;
  SELECT * INTO latest FROM boxledger.log_epochs ORDER BY number DESC LIMIT 1;
  IF (latest.system_identifier, latest.database_oid, latest.timeline)
    = (home.system_identifier, home.database_oid, home.timeline) THEN RETURN latest.number; END IF;
  INSERT INTO boxledger.log_epochs (number, system_identifier, database_oid, timeline)
  VALUES (latest.number + 1, home.system_identifier, home.database_oid, home.timeline);
  EXECUTE format('ALTER TABLE boxledger.events ALTER COLUMN transaction_id
    SET DEFAULT boxledger.numbered(%s, pg_current_xact_id())', latest.number + 1);
  PERFORM boxledger.keep_partitions();
  RETURN latest.number + 1;
END $$;

-- Past whatever is in the log already: one that was moved without its epochs may be ahead of this server.
DO $$
DECLARE
  bound CONSTANT bigint := greatest(
    (SELECT transaction_id::text::bigint FROM boxledger.events_1 ORDER BY transaction_id DESC LIMIT 1),
    boxledger.next_transaction()::text::bigint) + 1000000;
BEGIN
  EXECUTE format('ALTER TABLE boxledger.events ATTACH PARTITION boxledger.events_1 FOR VALUES FROM (%L) TO (%L)', '0', bound);
  INSERT INTO boxledger.partitions (number, begins, ends) VALUES (1, '0', bound::text::xid8);
  PERFORM boxledger.keep_partitions();
END $$;

-- As in 0005, but by the index of whichever partition.
CREATE OR REPLACE FUNCTION boxledger.explain_violation(request jsonb, violated text) RETURNS jsonb LANGUAGE sql AS $$
  SELECT CASE
    WHEN violated = 'boxes_live_name' THEN jsonb_build_object('kind', 'name-taken', 'name', coalesce(
      (SELECT b.name FROM jsonb_array_elements(request -> 'streams') s
       JOIN boxledger.boxes b ON b.tenant = s #>> '{row,tenant}' AND b.name = s #>> '{row,name}'
         AND NOT b.removed AND b.box_id <> s #>> '{row,boxId}'
       LIMIT 1),
      jsonb_path_query_first(request, '$.streams[*].row.name') #>> '{}'))
    -- Only where the head is missing: a stream that has events is then taken for a new one.
    WHEN violated ~ '^events_.*_stream_version$' THEN jsonb_build_object('kind', 'version-conflict', 'streamId',
      (SELECT s ->> 'streamId' FROM jsonb_array_elements(request -> 'streams') s
       JOIN boxledger.events e ON e.stream_id = s ->> 'streamId'
         AND e.version = (s ->> 'expectedVersion')::bigint + 1
       LIMIT 1))
  END
$$;
