-- Accounts from which access was taken, or would be: many within a day need a person who was told how many.

create table takings (
    id bigint generated always as identity,
    -- What takes: a comparison with a provider, a catalog …; the label of the metric.
    what text not null,
    account text not null,
    -- What of the provider says so; null where it is nothing of a provider.
    provider text,
    object_kind text,
    object_id text,
    noted_at timestamptz not null,
    -- Null while it is held back.
    taken_at timestamptz,
    constraint takings_pkey primary key (id),
    constraint takings_account_fkey foreign key (account) references accounts (account),
    constraint takings_what_given check (length(what) between 1 and 50),
    constraint takings_provider_known check (provider in ('stripe', 'polar')),
    constraint takings_object_is_whole check (num_nulls(provider, object_kind, object_id) in (0, 3))
);

-- What is held back is noted once, however often it is found.
create unique index takings_held on takings (what, provider, object_kind, object_id, account) where taken_at is null;
-- "How many lost access within a day?"
create index takings_taken on takings (taken_at, account) where taken_at is not null;
