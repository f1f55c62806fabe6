-- How far each comparison with a provider has come: it goes on there after a stop, and one process at a time does it.

create table reconciliations (
    provider text not null,
    -- delta: what the provider's list of events has that the inbox has not. full: everything.
    kind text not null,
    -- The run that goes on or ended last.
    started_at timestamptz not null,
    -- Drawn when it began: what was asked about later has been compared in this run.
    observation bigint not null,
    -- The list and the page that come next; null when it ended.
    place text,
    -- Who works on it has it until then.
    leased_until timestamptz not null,
    -- When a run last came to its end.
    ended_at timestamptz,
    compared bigint not null,
    drift bigint not null,
    constraint reconciliations_pkey primary key (provider, kind),
    constraint reconciliations_provider_known check (provider in ('stripe', 'polar')),
    constraint reconciliations_kind_known check (kind in ('delta', 'full'))
);

-- "Which subscriptions has this run not seen?"
create index subscriptions_running on subscriptions (provider, observation) where state <> 'ended';
