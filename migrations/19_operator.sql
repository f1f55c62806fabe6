-- What operators asked for under an id of their own: it is done once, however often it is asked for.

create table operator_wishes (
    id text not null,
    -- The whole of it, in words: an id that comes again with another wish is a mistake.
    wish text not null,
    -- The credits that were given or taken back, and the account's version since.
    credits bigint[] not null,
    version bigint not null,
    made_at timestamptz not null,
    constraint operator_wishes_pkey primary key (id),
    constraint operator_wishes_id_length check (octet_length(id) between 1 and 255)
);

-- By which claim of a token its account is known: with another one, every account becomes another one. One row.
create table account_naming (
    is_only boolean not null default true,
    naming text not null,
    since timestamptz not null,
    constraint account_naming_pkey primary key (is_only),
    constraint account_naming_one_row check (is_only)
);
