-- Selling: what is being bought, what was agreed to, what can be had once, and what is earned by inviting others.

-- The checkout of an account: one at a time, so that two clicks or two tabs never make two subscriptions.
create table checkouts (
    account text not null,
    -- Who works on it has it until then; whoever comes later takes the next number, and what an earlier number still
    -- wants to write is refused. A row lock would hold a connection while the provider is asked.
    leased_until timestamptz not null,
    lease bigint not null,
    -- How many sessions were opened for the account: two orders with one content are the same only within one of them.
    attempt bigint not null,
    -- The session that was opened last; null before the first and after one that can no longer be paid.
    provider text,
    session_id text,
    price_id text,
    trial_days integer,
    url text,
    -- When the provider last said that it is open: whoever asked before that need not ask again.
    seen_at timestamptz,
    constraint checkouts_pkey primary key (account),
    constraint checkouts_account_fkey foreign key (account) references accounts (account),
    constraint checkouts_provider_known check (provider in ('stripe', 'polar')),
    constraint checkouts_counted check (lease >= 1 and attempt >= 0),
    -- Half a session could neither be shown nor compared.
    constraint checkouts_session_is_whole
        check (num_nulls(provider, session_id, price_id, trial_days, url, seen_at) in (0, 6))
);

-- What a buyer agreed to, kept as proof: which text, for which price, and when.
create table consents (
    id bigint generated always as identity,
    account text not null,
    -- The id of the wording. A wording never changes under its id.
    text text not null,
    provider text not null,
    price_id text not null,
    -- The checkout for which it was given: further clicks on the same one say nothing new.
    attempt bigint not null,
    agreed_at timestamptz not null,
    constraint consents_pkey primary key (id),
    constraint consents_account_fkey foreign key (account) references accounts (account),
    constraint consents_once unique (account, text, provider, price_id, attempt),
    constraint consents_provider_known check (provider in ('stripe', 'polar')),
    constraint consents_text_given check (length(text) between 1 and 200)
);

-- A free trial is had once: the row stays whatever becomes of the subscription.
create table trials (
    account text not null,
    provider text not null,
    subscription_id text not null,
    started_at timestamptz not null,
    constraint trials_pkey primary key (account),
    constraint trials_account_fkey foreign key (account) references accounts (account),
    constraint trials_provider_known check (provider in ('stripe', 'polar'))
);

insert into trials (account, provider, subscription_id, started_at)
select distinct on (account) account, provider, subscription_id, started_at from subscriptions
where state = 'trialing' order by account, started_at;

-- Credits by the day are not an interval: they are spent while nothing else gives as much, one after the other.
alter table credits
    add column days integer,
    add constraint credits_days_in_bounds check (days between 1 and 36500),
    -- Either a length or an end: both could contradict each other.
    add constraint credits_days_or_end check (days is null or ends_at is null);

-- Since when a subscription that still stands gives nothing: until then it was used, and credits by the day were not.
alter table subscriptions add column suspended_at timestamptz;

-- By which code an account invites others. Without its row the referrer is gone: nobody is rewarded for it any more.
create table referral_codes (
    code text not null,
    account text not null,
    created_at timestamptz not null,
    constraint referral_codes_pkey primary key (code),
    constraint referral_codes_account_key unique (account),
    -- It stands in links, is read aloud and typed.
    constraint referral_codes_form check (code ~ '^[0-9a-z]{6,32}$')
);

-- Who was invited by whom, and what came of it. The accounts need not be known otherwise, then or later.
create table referrals (
    -- Invited once.
    referee text not null,
    referrer text not null,
    bound_at timestamptz not null,
    -- When the referee first paid, and until when that payment can still be taken back with consequences.
    converted_at timestamptz,
    window_ends_at timestamptz,
    -- The bill by which; null when a first paid tier was enough.
    provider text,
    invoice_id text,
    -- What both were given; null for a referrer who was gone, or who was rewarded often enough.
    referee_credit bigint,
    referrer_credit bigint,
    -- When the money had gone back, and the credits with it.
    taken_back_at timestamptz,
    constraint referrals_pkey primary key (referee),
    constraint referrals_not_oneself check (referee <> referrer),
    constraint referrals_referee_length check (octet_length(referee) between 1 and 255),
    constraint referrals_referee_credit_fkey foreign key (referee_credit) references credits (id),
    constraint referrals_referrer_credit_fkey foreign key (referrer_credit) references credits (id),
    constraint referrals_provider_known check (provider in ('stripe', 'polar')),
    -- A conversion is a moment with a window, and nothing is given or taken back without one.
    constraint referrals_conversion_is_whole check (
        (converted_at is null) = (window_ends_at is null)
        and (converted_at is not null or num_nonnulls(invoice_id, referee_credit, referrer_credit, taken_back_at) = 0)
    )
);

-- "How many did this account bring?"
create index referrals_referrer on referrals (referrer);
-- "Which conversion did this bill make?", asked when money goes back.
create index referrals_invoice on referrals (provider, invoice_id) where invoice_id is not null;
