-- Whether the database answers. One row.
SELECT 1 AS pong
