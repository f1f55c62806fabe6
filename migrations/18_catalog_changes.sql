-- What a change of the catalog takes from accounts, and how far they have been told of it.

alter table catalogs
    -- Accounts that lost something by it, as far as no person said that it may be many: counted over 24 hours.
    add column taken bigint not null default 0,
    -- The account up to which each has a new version since; empty before the first, null when all have. The accounts are
    -- gone through in batches, so that no change of the catalog keeps a purchase waiting.
    add column walk text,
    add constraint catalogs_taken_counted check (taken >= 0);
