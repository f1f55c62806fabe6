-- When a person last said that this database counts: a proxy that last heard of another one before that is no witness against it.
alter table database_identity add column accepted_at timestamptz;
