-- Facts that a line of the configuration alone must not change: where the records of this database stand, and how accounts are named.

alter table database_identity
    -- The namespace under which its records stand in Redis, or those that are held in its place; null from before it was noted.
    add column namespace text,
    -- The database that has taken its place while its processes lived on, as after a failover that left them behind.
    add column replaced_by uuid,
    add constraint database_identity_namespace_bounded check (octet_length(namespace) between 1 and 300);

-- By which claims each way of signing in names accounts, as JSON; null from before it was noted.
alter table account_naming add column ways jsonb;
