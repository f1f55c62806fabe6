-- Accounts that are gone: to another id, or for good.

-- An id by which providers may still name an account that has another one now: metadata of the past stays as it was written. Tokens
-- are not read with it.
create table account_aliases (
    alias text not null,
    account text not null,
    since timestamptz not null,
    constraint account_aliases_pkey primary key (alias),
    constraint account_aliases_account_fkey foreign key (account) references accounts (account),
    -- One step leads to the account that has everything: each move turns those of before.
    constraint account_aliases_not_oneself check (alias <> account),
    constraint account_aliases_alias_length check (octet_length(alias) between 1 and 255)
);

create index account_aliases_account on account_aliases (account);

-- The key with which hashes of erased names are made: without it no name can be tried out on them. It never leaves the database.
create table erasure_key (
    is_only boolean not null default true,
    key bytea not null
        default decode(replace(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
    constraint erasure_key_pkey primary key (is_only),
    constraint erasure_key_one_row check (is_only)
);

insert into erasure_key default values;

-- The hash of a name: of an account, of a provider's customer or of a provider's subscription.
create function erasure_hash(kind text, name text) returns bytea
    language sql stable
    as $$ select sha256(key || convert_to(kind || ' ' || name, 'UTF8')) from erasure_key $$;

-- Hashes of erased names: later events about them are ignored, and no row says about which account they were.
create table erased (
    hash bytea not null,
    -- The last version that was told of an account: above it begins what is told when it comes back by itself. Null of what is no account.
    version bigint,
    erased_at timestamptz not null,
    constraint erased_pkey primary key (hash)
);

-- Since when nothing is left of it but this row, which goes when the cache has been told.
alter table accounts add column erased_at timestamptz;

-- Since when the account has a pseudonym in its place: evidence, which is kept for a while.
alter table consents add column erased_at timestamptz;
create index consents_erased on consents (agreed_at) where erased_at is not null;

-- About which account a wish was: null where that is erased.
alter table operator_wishes add column account text;
update operator_wishes set account = (select account from credits where id = credits[1]);
create index operator_wishes_account on operator_wishes (account) where account is not null;

-- "Everything about this customer", asked when an account is erased or given out.
create index invoices_customer on invoices (provider, customer_id);
create index webhook_events_customer on webhook_events (provider, customer_id)
    where account is null and customer_id is not null;
