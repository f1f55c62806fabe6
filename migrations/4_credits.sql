-- Access that no subscription pays for: complimentary or earned.

create table credits (
    id bigint generated always as identity,
    account text not null,
    tier text not null,
    reason text not null,
    starts_at timestamptz not null,
    -- Open when null.
    ends_at timestamptz,
    created_at timestamptz not null,
    revoked_at timestamptz,
    constraint credits_pkey primary key (id),
    constraint credits_account_fkey foreign key (account) references accounts (account),
    constraint credits_end_after_start check (ends_at > starts_at),
    -- Somebody will ask why this account pays nothing.
    constraint credits_reason_given check (length(reason) between 1 and 500)
);

create index credits_account on credits (account);
