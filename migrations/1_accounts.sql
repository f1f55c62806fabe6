-- Who pays, and by which names the providers know them.

create table accounts (
    account text not null,
    -- Grows with every change of what the account may use. 0 is what the cache says of an account without a row.
    version bigint not null,
    created_at timestamptz not null,
    constraint accounts_pkey primary key (account),
    -- The bounds of `AccountId`: the `sub` claim of a token.
    constraint accounts_account_length check (octet_length(account) between 1 and 255),
    constraint accounts_version_above_unknown check (version >= 1)
);

-- A provider's customer belongs to one account; an account may have several customers.
create table provider_customers (
    provider text not null,
    customer_id text not null,
    account text not null,
    -- When a checkout of ours (or we ourselves) stated that this customer is that account: the newest statement
    -- wins, whatever the order of delivery. Null when only metadata said so, which any statement overrules.
    stated_at timestamptz,
    created_at timestamptz not null,
    constraint provider_customers_pkey primary key (provider, customer_id),
    constraint provider_customers_account_fkey foreign key (account) references accounts (account),
    constraint provider_customers_provider_known check (provider in ('stripe', 'polar')),
    constraint provider_customers_customer_id_length check (octet_length(customer_id) between 1 and 255)
);

-- "Which customers does this account have?", asked by selling and by operators.
create index provider_customers_account on provider_customers (account);
