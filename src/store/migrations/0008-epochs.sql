-- Transaction ids are the server's: in a database that was dumped and restored elsewhere, they begin anew. So the log counts
-- its homes as epochs, and the order of events goes by numbers whose high 16 bits are the epoch and whose low 48 bits are
-- the server's transaction id. All events of an epoch come after all of the one before, and no cursor ever changes.

CREATE TABLE boxledger.log_epochs (
  number integer PRIMARY KEY CHECK (number BETWEEN 0 AND 32767),
  -- Where the transaction ids of this epoch come from. The timeline moves on when a standby or a backup takes over: it may
  -- lack the last events that its predecessor had, and readers may be ahead of it.
  system_identifier bigint NOT NULL,
  database_oid oid NOT NULL,
  timeline text NOT NULL,
  began_at timestamptz NOT NULL DEFAULT statement_timestamp()
);

CREATE FUNCTION boxledger.numbered(epoch integer, transaction xid8) RETURNS xid8 LANGUAGE sql IMMUTABLE AS $$
  SELECT ((epoch::bigint << 48) + transaction::text::bigint)::text::xid8
$$;

-- Below this number nothing can be added to the log any more.
CREATE FUNCTION boxledger.horizon() RETURNS xid8 LANGUAGE sql STABLE AS $$
  SELECT boxledger.numbered(max(number), pg_snapshot_xmin(pg_current_snapshot())) FROM boxledger.log_epochs
$$;

CREATE FUNCTION boxledger.log_home(OUT system_identifier bigint, OUT database_oid oid, OUT timeline text)
LANGUAGE sql STABLE AS $$
  SELECT s.system_identifier, d.oid, left(pg_walfile_name(pg_current_wal_lsn()), 8)
  FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
$$;

-- Begins an epoch if the log has a new home, and returns the present one. With the rights of its owner, because what
-- numbers new events is the default of a column: that costs nothing where it counts. Waits for appends under way.
CREATE FUNCTION boxledger.keep_epoch() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
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
  RETURN latest.number + 1;
END $$;

-- A log that was restored before epochs were counted has events ahead of this server's transactions: its home is another.
INSERT INTO boxledger.log_epochs (number, system_identifier, database_oid, timeline)
SELECT 0, CASE WHEN ahead THEN 0 ELSE h.system_identifier END, h.database_oid, h.timeline
FROM boxledger.log_home() h,
  (SELECT EXISTS (SELECT FROM boxledger.events WHERE transaction_id > pg_current_xact_id()) AS ahead) AS events;
