-- An event of a customer that is of no account here is ignored as soon as its provider has been asked, and its body is thrown away.
-- When the customer is linked, the last such event becomes due again without its body: everything of the customer is asked for.

-- "Is there one of this customer?"
create index webhook_events_foreign on webhook_events (provider, customer_id, id)
    where state = 'ignored' and account is null and body_pruned_at is not null;
