-- The Redis servers that processes of this database use: there should be one. What is told in one of them is not heard of in another.

create table caches (
    -- The random text that stands in Redis, by which proxies know it, too.
    id text not null,
    seen_at timestamptz not null,
    constraint caches_pkey primary key (id),
    constraint caches_id_bounded check (octet_length(id) between 1 and 128)
);
