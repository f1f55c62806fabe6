-- The user who acts for an account, where that is another: an account may be an organisation.

-- Who asked for a change, in the request that brought it about. None: the account itself, an event, an operator.
alter table audit_log add column acted_by text;

-- Who agreed for the account; empty: the account itself. Each user of an account agrees for himself.
alter table consents
    add column acted_by text not null default '',
    drop constraint consents_once,
    add constraint consents_once unique (account, text, provider, price_id, attempt, acted_by);
