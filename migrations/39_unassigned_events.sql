-- A copy of an account says of how many events it is not known yet whom they are about: few, of many that wait.
create index webhook_events_unassigned on webhook_events (id)
    where state in ('pending', 'parked', 'dead') and account is null and customer_id is null;
