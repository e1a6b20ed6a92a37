-- Boxes that are not removed, of all tenants, each with its head: both as one append left them. $1 box id after which,
-- $2 most rows. Head columns are null where the head is missing. Takes no locks.
SELECT b.box_id, b.name, b.view, b.version AS row_version, h.version, h.fingerprint, h.snapshot
FROM boxledger.boxes b LEFT JOIN boxledger.heads h ON h.stream_id = 'box/' || b.box_id
WHERE NOT b.removed AND b.box_id > $1
ORDER BY b.box_id
LIMIT $2
