-- An account that a person, or the application, has blocked: no gated route passes, whatever is paid.

-- Since when; none: it is not blocked.
alter table accounts add column blocked_at timestamptz;
