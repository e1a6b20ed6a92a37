-- Who this connection is to the log. One row. Takes no locks.
SELECT current_user AS role,
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
  pg_has_role(c.relowner, 'USAGE') AS owns_log,
  pg_get_userbyid(c.relowner) = 'boxledger_owner' AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'boxledger_service')
    AS roles_settled
FROM pg_class c
WHERE c.oid = 'boxledger.events'::regclass
