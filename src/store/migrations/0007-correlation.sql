-- Everything that one request led to is found by its correlation id. By hash, for ids are asked for whole and never in
-- order: of the kinds of index that were tried the cheapest to add to, at some 35 bytes an event.
CREATE INDEX events_correlation ON boxledger.events USING hash (correlation_id);
