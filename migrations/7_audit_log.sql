-- Why an account has what it has: one line for every change that concerns it alone. What concerns all of them is in
-- catalogs.

create table audit_log (
    id bigint generated always as identity,
    at timestamptz not null,
    account text not null,
    version bigint not null,
    -- What brought the change about: an event, an operator.
    cause text not null,
    detail text not null,
    constraint audit_log_pkey primary key (id),
    constraint audit_log_account_fkey foreign key (account) references accounts (account)
);

create index audit_log_account on audit_log (account, id);
