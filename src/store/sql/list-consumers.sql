-- Every consumer, by name, and who runs it if somebody does. Takes no locks.
SELECT name, cursor, CASE WHEN lease_until > statement_timestamp() THEN holder END AS holder
FROM boxledger.consumers
ORDER BY name
