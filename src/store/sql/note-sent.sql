-- Notes that the sink $1 has all checkpoints up to $2 (sequence). Never goes back. No row. Locks the sink's row.
INSERT INTO boxledger.checkpoint_sinks AS s (sink, sent_sequence) VALUES ($1, $2)
ON CONFLICT (sink) DO UPDATE SET sent_sequence = greatest(s.sent_sequence, excluded.sent_sequence), failing_since = NULL,
  last_error = NULL
