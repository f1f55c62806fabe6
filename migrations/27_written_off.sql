-- A person's end of a subscription that its provider no longer shows has a word of its own: a lapse is what a provider's list says.

-- Not held against the rows that are there: each of them fulfils what is checked now.
alter table subscriptions drop constraint subscriptions_state_known;
alter table subscriptions add constraint subscriptions_state_known check (
    state in ('incomplete', 'trialing', 'active', 'past_due', 'unpaid', 'paused', 'lapsed', 'written_off', 'ended')
) not valid;
alter table subscriptions drop constraint subscriptions_since_when_lapsed;
alter table subscriptions add constraint subscriptions_since_when_lapsed
    check ((state in ('lapsed', 'written_off')) = (lapsed_at is not null)) not valid;
