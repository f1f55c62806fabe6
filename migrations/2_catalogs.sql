-- What is sold, and the rules by which it gives access. The newest row is current; the others are history.

create table catalogs (
    id bigint generated always as identity,
    body jsonb not null,
    -- Seconds that access goes on without a word from the provider. They stand here, not in a process's
    -- configuration, so that what an account may use follows from rows alone, in every process.
    grace_past_due bigint not null,
    grace_renewal bigint not null,
    grace_trial bigint not null,
    applied_at timestamptz not null,
    constraint catalogs_pkey primary key (id),
    constraint catalogs_body_is_an_object check (jsonb_typeof(body) = 'object'),
    -- A hundred years: longer is a mistake, and could leave the calendar when added to a date.
    constraint catalogs_grace_in_bounds check (
        grace_past_due between 0 and 3153600000
        and grace_renewal between 0 and 3153600000
        and grace_trial between 0 and 3153600000
    )
);
