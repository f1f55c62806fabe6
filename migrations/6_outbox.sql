-- What the cache has not been told yet, written in the transaction that changed it.

create table outbox (
    account text not null,
    -- The newest version to be told; older ones need not be.
    version bigint not null,
    committed_at timestamptz not null,
    -- Failures so far: one account that cannot be published must not hold up the others.
    attempts integer not null default 0,
    -- Who commits also publishes, at once; the background publisher looks only at what was left over by then.
    next_attempt_at timestamptz not null,
    constraint outbox_pkey primary key (account),
    constraint outbox_account_fkey foreign key (account) references accounts (account)
);

create index outbox_due on outbox (next_attempt_at);
