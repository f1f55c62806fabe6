-- What a bill is for and what it took in, so that what went back is held against it, and a payment that failed takes no more
-- than what it should have paid for.

alter table subscriptions
    -- What it is for, each with its own period; null where only the prices were kept.
    add column items jsonb,
    -- When its first charge was due, where nothing is known to have been paid before.
    add column first_due timestamptz;
alter table subscriptions add constraint subscriptions_items_are_a_list check (jsonb_typeof(items) = 'array');

alter table invoices
    add column lines jsonb not null default '[]',
    -- Minor units that came from what the customer had at the provider.
    add column balance bigint not null default 0,
    add column currency text,
    add column settled boolean not null default false,
    -- Whether the bank wanted to hear from the buyer.
    add column needs_action boolean not null default false;
alter table invoices add constraint invoices_lines_are_a_list check (jsonb_typeof(lines) = 'array');

alter table payments add column currency text;

-- Minor units that the bank takes; 0 where it was not told.
alter table disputes add column amount bigint not null default 0;
alter table disputes add constraint disputes_amount_in_bounds check (amount >= 0);

-- Seconds of access while the bank waits for the buyer's word about a first payment; null in catalogs of before.
alter table catalogs add column grace_authentication bigint;
alter table catalogs add constraint catalogs_grace_authentication_in_bounds
    check (grace_authentication between 0 and 3153600000);
