-- Rows that are taken over from a system that sold before: trials of which only the moment is known, and codes in its own form.

-- A trial that was had elsewhere is of no subscription that is known here.
alter table trials
    alter column provider drop not null,
    alter column subscription_id drop not null,
    add constraint trials_subscription_is_whole check (num_nulls(provider, subscription_id) in (0, 2));

-- Codes that stand in links already keep their form: shorter ones, and those with the two signs of URL-safe alphabets. Not held against
-- the rows that are there: each of them fulfils what was checked before.
alter table referral_codes drop constraint referral_codes_form;
alter table referral_codes add constraint referral_codes_form check (code ~ '^[0-9a-z_-]{4,32}$') not valid;
