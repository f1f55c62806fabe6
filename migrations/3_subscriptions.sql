-- What the providers told us of each subscription, as it last stood, and to which account it belongs.

create table subscriptions (
    provider text not null,
    subscription_id text not null,
    account text not null,
    customer_id text not null,
    prices text[] not null,
    state text not null,
    trial_ends_at timestamptz,
    paid_until timestamptz,
    past_due_since timestamptz,
    ended_at timestamptz,
    cancel_at timestamptz,
    started_at timestamptz not null,
    period_start timestamptz,
    -- The provider's clock when it was told.
    as_of timestamptz not null,
    updated_at timestamptz not null,
    constraint subscriptions_pkey primary key (provider, subscription_id),
    constraint subscriptions_account_fkey foreign key (account) references accounts (account),
    constraint subscriptions_customer_fkey foreign key (provider, customer_id)
        references provider_customers (provider, customer_id),
    constraint subscriptions_subscription_id_length check (octet_length(subscription_id) between 1 and 255),
    constraint subscriptions_state_known
        check (state in ('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'ended')),
    -- A state carries its own date and no other: a date that no state explains would be believed by nobody.
    constraint subscriptions_trial_end_when_trialing check ((state = 'trialing') = (trial_ends_at is not null)),
    -- The provider does not always say until when an active subscription is paid.
    constraint subscriptions_paid_until_only_when_active check (paid_until is null or state = 'active'),
    constraint subscriptions_since_when_past_due check ((state = 'past_due') = (past_due_since is not null)),
    constraint subscriptions_end_when_ended check ((state = 'ended') = (ended_at is not null))
);

-- The rows from which an entitlement is computed.
create index subscriptions_account on subscriptions (account);
-- The rows that follow their customer to another account.
create index subscriptions_customer on subscriptions (provider, customer_id);

-- For which account a completed checkout bought a subscription. It stands above the customer's account, because
-- one customer may pay for several accounts, and it may be told before the subscription itself is.
create table subscription_claims (
    provider text not null,
    subscription_id text not null,
    account text not null,
    created_at timestamptz not null,
    constraint subscription_claims_pkey primary key (provider, subscription_id),
    constraint subscription_claims_account_fkey foreign key (account) references accounts (account),
    constraint subscription_claims_provider_known check (provider in ('stripe', 'polar')),
    constraint subscription_claims_subscription_id_length check (octet_length(subscription_id) between 1 and 255)
);
