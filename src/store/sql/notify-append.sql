-- Wakes the readers of other processes. $1 who sends it. Commits take turns while one notifies: not for every append.
SELECT pg_notify('boxledger_append', $1)
