-- The inbox: every verified webhook is durable here before it is acknowledged.

create table webhook_events (
    id bigint generated always as identity,
    provider text not null,
    event_id text not null,
    type text not null,
    api_version text,
    livemode boolean,
    received_at timestamptz not null,
    -- pending: to be applied at next_attempt_at. parked: its account is not known yet. dead: given up, an operator
    -- is needed. Only applied and ignored are done, and only what is done makes a second delivery a duplicate.
    state text not null,
    -- Failures so far; a transient fault of the database is not one.
    attempts integer not null,
    next_attempt_at timestamptz,
    -- What an operator reads.
    reason text,
    account text,
    customer_id text,
    -- The body as it was signed, whole: an event can be read again by a later version.
    body bytea not null,
    constraint webhook_events_pkey primary key (id),
    constraint webhook_events_event_key unique (provider, event_id),
    constraint webhook_events_provider_known check (provider in ('stripe', 'polar')),
    constraint webhook_events_state_known check (state in ('pending', 'parked', 'applied', 'ignored', 'dead')),
    constraint webhook_events_attempts_counted check (attempts >= 0),
    -- A pending event that no worker would look for is a lost event; one that is done must not be looked for.
    constraint webhook_events_pending_is_due check (state <> 'pending' or next_attempt_at is not null),
    constraint webhook_events_done_is_not_due check (state in ('pending', 'parked') or next_attempt_at is null),
    -- Nothing is set aside without a word.
    constraint webhook_events_reason_given check (state in ('pending', 'applied') or reason is not null),
    -- What a link to this customer wakes up.
    constraint webhook_events_parked_has_customer check (state <> 'parked' or customer_id is not null)
);

-- The worker's question: what is due?
create index webhook_events_due on webhook_events (next_attempt_at) where next_attempt_at is not null;
-- What a new link wakes up.
create index webhook_events_parked on webhook_events (provider, customer_id) where state = 'parked';
-- What is counted for the metric, and what an operator must look at; done rows are too many to be in it.
create index webhook_events_open on webhook_events (state, id) where state in ('pending', 'parked', 'dead');
-- An operator's "what happened to this account?".
create index webhook_events_account on webhook_events (account, id) where account is not null;
