-- What buyers of add-ons have stated, such as the name of a domain. It is written down before the checkout is opened; the
-- subscription that pays for it comes later, or never.
create table addon_orders (
    id bigint generated always as identity,
    account text not null,
    -- Its code in the catalog of that moment.
    addon text not null,
    -- By the names that the catalog requires.
    details jsonb not null,
    -- The checkout for which it was stated: as checkouts.attempt before it was opened.
    attempt bigint not null,
    ordered_at timestamptz not null,
    constraint addon_orders_pkey primary key (id),
    constraint addon_orders_account_fkey foreign key (account) references accounts (account),
    -- A checkout that could not be opened is ordered anew, in other words perhaps.
    constraint addon_orders_once unique (account, attempt),
    constraint addon_orders_details_named check (jsonb_typeof(details) = 'object')
);

-- "What was stated last for this add-on?"
create index addon_orders_last on addon_orders (account, addon, id desc);
