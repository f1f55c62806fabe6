//! Which Redis servers the processes of this database use.

use cache::CacheId;
use sqlx::PgConnection;

use super::StoreError;

/// Notes that this process uses a cache, and no longer its former one. Returns whether another process has used another one in the
/// last 20 seconds.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn note(conn: &mut PgConnection, ours: &CacheId, former: Option<&CacheId>) -> Result<bool, StoreError> {
    let (ours, former) = (ours.to_string(), former.map(CacheId::to_string));
    let query = sqlx::query_scalar!(
        r#"
        with gone as (
            delete from caches where id <> $1 and (id = $2 or seen_at < now() - interval '1 day')
        ), noted as (
            insert into caches (id, seen_at) values ($1, now()) on conflict (id) do update set seen_at = excluded.seen_at
        )
        select exists (
            select 1 from caches where id <> $1 and id is distinct from $2 and seen_at > now() - interval '20 seconds'
        ) as "other!"
        "#,
        ours,
        former
    );
    Ok(query.fetch_one(conn).await?)
}

/// Whether processes run that use a cache, and none of them uses this one.
///
/// # Errors
/// When the database fails.
pub async fn is_elsewhere(conn: &mut PgConnection, ours: &CacheId) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        select coalesce(bool_and(id <> $1), false) as "elsewhere!" from caches where seen_at > now() - interval '20 seconds'
        "#,
        ours.to_string()
    );
    Ok(query.fetch_one(conn).await?)
}
