-- Customers of which a provider has said that they are of no account here: for a while their events are ignored without another question.
-- A link takes the row away.

create table foreign_customers (
    provider text not null,
    customer_id text not null,
    -- When the provider was asked whose customer it is.
    asked_at timestamptz not null,
    constraint foreign_customers_pkey primary key (provider, customer_id),
    constraint foreign_customers_provider_known check (provider in ('stripe', 'polar'))
);

-- "Which answers are too old to count?"
create index foreign_customers_asked on foreign_customers (asked_at);
