-- Which database this is, and what of it was told: a database that goes back, or is another one, must not lower anybody by itself.

-- One row. A dump or a replica has the same id; a database that is found to have gone back behind what was told of it gets a new
-- one, so that its word and that of whoever is still connected to the former one are told apart.
create table database_identity (
    is_only boolean not null default true,
    id uuid not null default gen_random_uuid(),
    -- The id that it had before, whose records are held until a person agrees.
    former uuid,
    since timestamptz not null default now(),
    -- Since when what another database had told serves in the place of what this one says; null when a person has agreed, or nothing
    -- is held. It stands here as well as in Redis, which may forget it.
    held_since timestamptz,
    constraint database_identity_pkey primary key (is_only),
    constraint database_identity_one_row check (is_only)
);

insert into database_identity default values;

-- The id that the database had when something was last learnt of the account; null from before there was one. Under another id it
-- came with a dump: what was told since then goes on to serve until something new is learnt, or a person agrees.
alter table accounts add column database uuid;
