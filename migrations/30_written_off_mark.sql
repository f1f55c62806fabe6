-- Subscriptions that a person ended here are stored as lapsed, with this mark beside them: builds of before know a lapse, which gives as
-- little and is taken back by the same. Rows of migration 27's own word stay as they are, and are read as before.
alter table subscriptions add column written_off boolean not null default false;
