-- Which of a provider's keys speaks for a subscription, and since when the provider no longer shows it.

alter table subscriptions
    -- Whether real money is behind it; null where nobody has said so yet, and at a provider that has no modes.
    add column livemode boolean,
    -- The provider's own id of the account that last answered for it; null before a first answer, and where the key may
    -- not say of which account it is.
    add column provider_account text,
    -- Since when the provider answers that it has no such subscription. That changes no access: a person ends it.
    add column unseen_since timestamptz;

-- "To which mode and account does the key have to belong?", asked of what runs.
create index subscriptions_bound on subscriptions (provider, livemode, provider_account) where state <> 'ended';
-- "Is one live subscription stored?"
create index subscriptions_live on subscriptions (provider) where livemode;
-- What a person has to look at.
create index subscriptions_unseen on subscriptions (provider, subscription_id)
    where unseen_since is not null and state <> 'ended';

-- Since when live subscriptions alone count at a provider that has modes: from then on those of test mode grant nothing.
create table live_modes (
    provider text not null,
    since timestamptz not null,
    constraint live_modes_pkey primary key (provider),
    constraint live_modes_provider_known check (provider in ('stripe', 'polar'))
);

-- Events that wait for another key: none that is configured was of their mode or account.
create table events_for_key (
    event bigint not null,
    provider text not null,
    constraint events_for_key_pkey primary key (event),
    constraint events_for_key_event_fkey foreign key (event) references webhook_events (id),
    constraint events_for_key_provider_known check (provider in ('stripe', 'polar'))
);

-- What an upgrade leaves to be done in small steps, so that no large table is rewritten at once.
create table catch_ups (
    name text not null,
    -- The row after which it goes on.
    place text not null,
    done_at timestamptz,
    constraint catch_ups_pkey primary key (name)
);

-- Subscriptions from before take the mode of their customer's last event: a customer is of one mode.
insert into catch_ups (name, place) values ('subscription_modes', '');
