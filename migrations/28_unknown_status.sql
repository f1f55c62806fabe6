-- Subscriptions of which this build does not know the status: they give nothing, and stand in the way of another purchase.
-- They are stored as paused, which builds of before know, and which gives as little.
alter table subscriptions add column status_unknown boolean not null default false;
