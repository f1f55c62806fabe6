-- A purchase is made once, and of the text that was shown: open checkouts that something else has overtaken, and the texts that were agreed to.

-- An open checkout stays payable when what it sells was bought elsewhere: it is looked at then, and closed.
alter table checkouts
    -- When it is looked at; null while there is no reason to.
    add column superseded_at timestamptz;

-- Which are due.
create index checkouts_superseded on checkouts (superseded_at) where superseded_at is not null;

-- The wordings that buyers agreed to, so that one that is changed under its id stays the one that was shown.
create table consent_texts (
    digest text not null,
    -- The id under which it was shown.
    text text not null,
    wording text not null,
    recorded_at timestamptz not null,
    constraint consent_texts_pkey primary key (digest, text),
    constraint consent_texts_digest_form check (digest ~ '^[0-9a-f]{32}$')
);

-- Which wording a buyer agreed to; empty where that was not kept.
alter table consents
    add column digest text not null default '',
    drop constraint consents_once,
    add constraint consents_once unique (account, text, provider, price_id, attempt, acted_by, digest);
