-- Begins an epoch of the log if its server or database is another than before. One row: the present epoch. Locks the log
-- for the moment in which an epoch begins; else nothing.
SELECT boxledger.keep_epoch() AS epoch
