-- Everything that one request led to is found by its correlation id. By hash: ids are asked for whole and never in order,
-- and an entry is then a few bytes, however long the id.
CREATE INDEX events_correlation ON boxledger.events USING hash (correlation_id);
