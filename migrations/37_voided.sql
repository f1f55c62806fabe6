-- A bill that was written off may be voided later: nothing is owed for it then.

-- Whether its seller took it back.
alter table invoices add column voided boolean not null default false;
