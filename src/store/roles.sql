-- Who may do what. Run after the migrations, by whoever may migrate, and safe to run again: what the two schemas hold is
-- handed to the owner's role, and the service's role is given what the service does, and no more.
--
-- Roles belong to the whole server. Of several databases that make them at once, one does and the others find them made.
DO $$
DECLARE
  role text;
  thing record;
  home CONSTANT text[] := ARRAY['boxledger', 'boxledger_queue'];
BEGIN
  FOREACH role IN ARRAY ARRAY['boxledger_owner', 'boxledger_service'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN EXECUTE format('CREATE ROLE %I', role); END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- made by another database's migration meanwhile
    END;
  END LOOP;
  IF NOT pg_has_role('boxledger_owner', 'USAGE') THEN GRANT boxledger_owner TO CURRENT_USER; END IF;

  -- Everything to its owner. Sequences and types of tables follow their tables.
  FOR thing IN
    SELECT format('SCHEMA %I', nspname) AS name FROM pg_namespace
      WHERE nspname = ANY (home) AND nspowner <> 'boxledger_owner'::regrole
    UNION ALL SELECT format('TABLE %s', oid::regclass) FROM pg_class
      WHERE relnamespace::regnamespace::text = ANY (home) AND relkind IN ('r', 'p', 'v')
        AND relowner <> 'boxledger_owner'::regrole
    UNION ALL SELECT format('ROUTINE %s', oid::regprocedure) FROM pg_proc
      WHERE pronamespace::regnamespace::text = ANY (home) AND proowner <> 'boxledger_owner'::regrole
    UNION ALL SELECT format('TYPE %s', oid::regtype) FROM pg_type
      WHERE typnamespace::regnamespace::text = ANY (home) AND typtype IN ('e', 'd')
        AND typowner <> 'boxledger_owner'::regrole
  LOOP
    EXECUTE format('ALTER %s OWNER TO boxledger_owner', thing.name);
  END LOOP;

  GRANT USAGE ON SCHEMA boxledger TO boxledger_service;
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA boxledger FROM PUBLIC;
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA boxledger TO boxledger_service;
  -- Where partitions end is not for the service to say; that the next one is there it may ask.
  REVOKE EXECUTE ON FUNCTION boxledger.make_partition, boxledger.add_partition FROM boxledger_service;
  -- What refuses change by trigger is added to and read; how the log came to be here, and what has left it, is only read; all
  -- else can be made again from the log, and is cleaned. Partitions are the log's, and reached by way of it alone.
  FOR thing IN
    SELECT c.oid::regclass AS name, CASE
      WHEN c.relispartition THEN NULL
      WHEN c.relname IN ('migrations', 'log_epochs', 'partitions', 'archives', 'archived_streams') THEN 'SELECT'
      WHEN EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'boxledger.refuse_change'::regproc)
        THEN 'SELECT, INSERT'
      ELSE 'SELECT, INSERT, UPDATE, DELETE' END AS rights
    FROM pg_class c WHERE c.relnamespace = 'boxledger'::regnamespace AND c.relkind IN ('r', 'p')
  LOOP
    EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, boxledger_service', thing.name);
    IF thing.rights IS NOT NULL THEN
      EXECUTE format('GRANT %s ON %s TO boxledger_service', thing.rights, thing.name);
    END IF;
  END LOOP;

  -- BullMQ's tables hold nothing that the outbox does not know better. It makes a sequence for each queue.
  IF to_regnamespace('boxledger_queue') IS NOT NULL THEN
    GRANT USAGE, CREATE ON SCHEMA boxledger_queue TO boxledger_service;
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA boxledger_queue TO boxledger_service;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA boxledger_queue TO boxledger_service;
  END IF;
END $$;
