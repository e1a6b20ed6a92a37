-- Appends requests as a whole, or fails with SQLSTATE BX002 or 23505 and has appended nothing. Packed tables, each as
-- src/store/append-rows.ts writes it: $1 commands, $2 heads to move, $3 heads to begin, $4 effects to settle, $5 effects to
-- cancel, $6 events, $7 effects, $8 boxes to change, $9 new boxes. One row: the events' positions in their order, as JSON
-- array. Locks as migrations/0012-append-packed.sql says.
SELECT boxledger.append_together($1, $2, $3, $4, $5, $6, $7, $8, $9) AS positions
