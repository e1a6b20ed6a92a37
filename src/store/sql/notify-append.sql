-- Wakes the readers of other processes. $1 who sends it. Commits take turns while one notifies: not for every append, and
-- without waiting for the disk, since a notification that is lost with a crash is no loss.
SELECT set_config('synchronous_commit', 'off', true), pg_notify('boxledger_append', $1)
