-- Effects that are not over, by kind and state. A row for each of which there are any: their number, and how many
-- milliseconds ago the first of them was due. Reads only open effects; takes no locks.
SELECT kind, state, count(*)::integer AS effects,
  greatest(0, extract(epoch FROM statement_timestamp() - min(due_at)) * 1000)::float8 AS waiting_ms
FROM boxledger.effects
WHERE open
GROUP BY kind, state
