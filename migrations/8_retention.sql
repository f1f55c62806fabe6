-- How long the inbox keeps what it was sent. A body holds personal data, and is needed only to apply the event or to
-- look into a complaint; the row stays, because it is what makes a late repetition a duplicate.

alter table webhook_events
    -- When it was applied or ignored; from then on its body grows old.
    add column finished_at timestamptz,
    -- When its body was thrown away, which then is empty.
    add column body_pruned_at timestamptz;

-- Of what was done before, only the arrival is known; nearly all of it was done within a second.
update webhook_events set finished_at = received_at where state in ('applied', 'ignored');

alter table webhook_events
    -- What is done without a moment would be kept for ever, and what is not done must not grow old.
    add constraint webhook_events_done_has_a_moment
        check ((state in ('applied', 'ignored')) = (finished_at is not null)),
    -- An event without a body can be applied no more: it stays done.
    add constraint webhook_events_pruned_is_done
        check (body_pruned_at is null or (finished_at is not null and octet_length(body) = 0));

-- "Which bodies are old?"
create index webhook_events_old on webhook_events (finished_at)
    where finished_at is not null and body_pruned_at is null;
