-- The log, what commits with it, and the one way to append. Ids and names are compared byte by byte (COLLATE "C"):
-- that is what they mean, it is fastest, and a prefix is then a range of the index.

-- Truth. Everything below but commands can be rebuilt from it.
CREATE TABLE boxledger.events (
  position bigint GENERATED ALWAYS AS IDENTITY,
  -- With position the order that readers follow: below the snapshot's xmin nothing can be added to it any more.
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
  version bigint NOT NULL CHECK (version > 0),
  occurred_at timestamptz(3) NOT NULL,
  schema_version integer NOT NULL,
  stream_id text COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  data jsonb NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  actor_kind text COLLATE "C" NOT NULL,
  actor_id text NOT NULL,
  reason text,
  command_id text COLLATE "C" NOT NULL,
  correlation_id text COLLATE "C" NOT NULL,
  causation_id text,
  traceparent text,
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  CONSTRAINT events_stream_version UNIQUE (stream_id, version)
);
CREATE UNIQUE INDEX events_order ON boxledger.events (transaction_id, position);

CREATE FUNCTION boxledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'boxledger.events is append only: % refused', TG_OP USING ERRCODE = 'object_not_in_prerequisite_state';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON boxledger.events
  FOR EACH STATEMENT EXECUTE FUNCTION boxledger.refuse_change();

-- A stream's present: version, last hash and folded snapshot. Updated with each append, in place where the page has room.
CREATE TABLE boxledger.heads (
  stream_id text COLLATE "C" PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  hash bytea NOT NULL,
  fingerprint text NOT NULL,
  snapshot jsonb NOT NULL
) WITH (fillfactor = 60);

-- What was answered to a command, so that the same command gets the same answer.
CREATE TABLE boxledger.commands (
  tenant text COLLATE "C",
  command_id text COLLATE "C",
  digest text COLLATE "C" NOT NULL,
  answer_kind text COLLATE "C" NOT NULL,
  stream_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  answered_at timestamptz(3) NOT NULL,
  PRIMARY KEY (tenant, command_id)
);

-- The outbox. An effect is open while it is pending or claimed; only open ones are in the indexes besides the key.
CREATE TABLE boxledger.effects (
  effect_id text COLLATE "C" PRIMARY KEY,
  state text COLLATE "C" NOT NULL DEFAULT 'pending'
    CHECK (state IN ('pending', 'claimed', 'settled', 'cancelled')),
  attempt integer NOT NULL DEFAULT 0,
  kind text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  box_id text COLLATE "C" NOT NULL,
  generation integer NOT NULL,
  -- Where it is to run, and that host's epoch when it was asked for.
  host_id text COLLATE "C" NOT NULL,
  epoch integer NOT NULL,
  args jsonb NOT NULL,
  correlation_id text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL,
  not_before timestamptz(3),
  deadline timestamptz(3) NOT NULL,
  -- Earliest begin of the next attempt.
  due_at timestamptz NOT NULL,
  last_enqueued_at timestamptz,
  lease_until timestamptz,
  -- Who holds the claim; null when it was taken because its deadline had passed.
  holder_host_id text COLLATE "C",
  holder_epoch integer,
  last_error jsonb
) WITH (fillfactor = 80);
CREATE INDEX effects_unqueued ON boxledger.effects (coalesce(last_enqueued_at, '-infinity'), created_at)
  WHERE state IN ('pending', 'claimed');
CREATE INDEX effects_overdue ON boxledger.effects (deadline) WHERE state IN ('pending', 'claimed');
CREATE INDEX effects_held ON boxledger.effects (holder_host_id, holder_epoch) WHERE state = 'claimed';

-- What lists and filters need of a box without a fold.
CREATE TABLE boxledger.boxes (
  box_id text COLLATE "C" PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  state text COLLATE "C" NOT NULL,
  labels jsonb NOT NULL,
  host_id text COLLATE "C",
  version bigint NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  view jsonb NOT NULL
) WITH (fillfactor = 70);
-- The name of a removed box is free again.
CREATE UNIQUE INDEX boxes_live_name ON boxledger.boxes (tenant, name) WHERE state <> 'removed';
CREATE INDEX boxes_live_created ON boxledger.boxes (tenant, created_at, box_id) WHERE state <> 'removed';
CREATE INDEX boxes_created ON boxledger.boxes (tenant, created_at, box_id);
CREATE INDEX boxes_labels ON boxledger.boxes USING gin (labels jsonb_path_ops)
  WHERE state <> 'removed' AND labels <> '{}'::jsonb;
