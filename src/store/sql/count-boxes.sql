-- Number of boxes by state, without the removed. $1 tenant. A row for each state that has any. Takes no locks.
SELECT state, count(*)::integer AS boxes
FROM boxledger.boxes
WHERE tenant = $1 AND NOT removed
GROUP BY state
