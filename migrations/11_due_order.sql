-- The worker's question is answered from the index alone, in its order: of the many events that one command makes due
-- at one moment, it would otherwise sort all to find the first.
drop index webhook_events_due;
create index webhook_events_due on webhook_events (next_attempt_at, id) where next_attempt_at is not null;
