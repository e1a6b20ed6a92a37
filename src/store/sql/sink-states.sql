-- How far each sink has got. A row for each. Takes no locks.
SELECT sink, sent_sequence::integer, failing_since, last_error FROM boxledger.checkpoint_sinks ORDER BY sink
