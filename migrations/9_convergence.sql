-- What makes the last word of a provider stand, whatever arrives in whatever order; and the money that went back.

-- Numbers what we learn: an event gets one when it has arrived, a question to a provider before it is asked. An answer
-- thus tells at least as much as every event with a smaller number. Never the clock, whose seconds prove nothing.
create sequence observations as bigint;

alter table webhook_events add column arrival bigint not null default nextval('observations');
-- A thin event names no customer; it waits for the day on which its provider can be asked.
alter table webhook_events drop constraint webhook_events_parked_has_customer;
alter table webhook_events add constraint webhook_events_parked_is_woken
    check (state <> 'parked' or customer_id is not null or next_attempt_at is not null);

alter table subscriptions
    add column collection_paused boolean not null default false,
    -- Since when the provider's list of what runs no longer names it.
    add column lapsed_at timestamptz,
    -- How it stood before the change that was told last.
    add column before jsonb,
    -- The number of the question that was last answered about it; 0 when none was.
    add column observation bigint not null default 0;
alter table subscriptions drop constraint subscriptions_state_known;
alter table subscriptions add constraint subscriptions_state_known check (
    state in ('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'lapsed', 'ended')
);
alter table subscriptions add constraint subscriptions_since_when_lapsed
    check ((state = 'lapsed') = (lapsed_at is not null));

-- When the provider told that it no longer has the customer: nothing of theirs runs after that.
alter table provider_customers add column gone_at timestamptz;

-- What refunds, disputes, pauses and unpaid subscriptions do: beside the grace, and for the same reason.
alter table catalogs add column policy jsonb not null default '{}';
alter table catalogs add constraint catalogs_policy_is_an_object check (jsonb_typeof(policy) = 'object');

-- Bills for subscriptions. A row holds what all events about it tell together.
create table invoices (
    provider text not null,
    invoice_id text not null,
    subscription_id text not null,
    customer_id text not null,
    -- Whether it is for a whole period, and not for a change within one.
    renews boolean not null,
    -- When the period that it pays for began.
    covers_from timestamptz not null,
    paid bigint not null,
    attempts integer not null,
    failed_at timestamptz,
    constraint invoices_pkey primary key (provider, invoice_id),
    constraint invoices_provider_known check (provider in ('stripe', 'polar')),
    constraint invoices_amounts_in_bounds check (paid >= 0 and attempts >= 0)
);

create index invoices_subscription on invoices (provider, subscription_id);

-- Payments, and how much of each went back. The invoice may be told before or after, or never.
create table payments (
    provider text not null,
    payment_id text not null,
    customer_id text,
    invoice_id text,
    amount bigint not null,
    made_at timestamptz,
    refunded bigint not null,
    refunded_at timestamptz,
    constraint payments_pkey primary key (provider, payment_id),
    constraint payments_provider_known check (provider in ('stripe', 'polar')),
    constraint payments_amounts_in_bounds check (amount >= 0 and refunded >= 0)
);

create index payments_invoice on payments (provider, invoice_id) where invoice_id is not null;
create index payments_customer on payments (provider, customer_id) where customer_id is not null;

-- Single transfers back: one that was made can still fail.
create table refunds (
    provider text not null,
    refund_id text not null,
    payment_id text not null,
    amount bigint not null,
    state text not null,
    at timestamptz not null,
    constraint refunds_pkey primary key (provider, refund_id),
    constraint refunds_provider_known check (provider in ('stripe', 'polar')),
    constraint refunds_state_known check (state in ('pending', 'made', 'failed')),
    constraint refunds_amount_in_bounds check (amount >= 0)
);

create index refunds_payment on refunds (provider, payment_id);

-- Payments that a cardholder's bank has taken back.
create table disputes (
    provider text not null,
    dispute_id text not null,
    payment_id text not null,
    state text not null,
    opened_at timestamptz not null,
    as_of timestamptz not null,
    constraint disputes_pkey primary key (provider, dispute_id),
    constraint disputes_provider_known check (provider in ('stripe', 'polar')),
    constraint disputes_state_known check (state in ('inquiry', 'open', 'lost', 'won'))
);

create index disputes_payment on disputes (provider, payment_id);
