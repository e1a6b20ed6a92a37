-- Execs that have not ended, so that those which a killed server left behind are found without reading all that ever were.
CREATE INDEX heads_open_execs ON boxledger.heads (stream_id)
  WHERE stream_id >= 'exec/' AND stream_id < 'exec0' AND snapshot ->> 'value' IN ('requested', 'running');
