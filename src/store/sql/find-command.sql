-- What was answered to a command. $1 tenant, $2 command id. No row: nothing yet. Takes no locks.
SELECT digest, answer_kind, stream_id, version
FROM boxledger.commands
WHERE tenant = $1 AND command_id = $2
