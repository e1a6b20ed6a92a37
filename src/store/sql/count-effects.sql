-- Number of effects by state. A row for each state that has any. Reads the whole table; takes no locks.
SELECT state, count(*)::integer AS effects
FROM boxledger.effects
GROUP BY state
