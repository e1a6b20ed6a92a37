-- An effect is enqueued straight after the commit that asks for it, so it counts as enqueued from then on: that needs no
-- second write. Where the enqueueing did not come about, the sweeper finds it as it finds what a queue has lost.
ALTER TABLE boxledger.effects ALTER COLUMN last_enqueued_at SET DEFAULT statement_timestamp();
