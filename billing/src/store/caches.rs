//! Which Redis servers the processes of this database use.

use cache::CacheId;
use entitlement::Timestamp;
use sqlx::PgConnection;

use super::StoreError;

/// The outcome of a look at the caches.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    /// When it was, by the database's clock.
    pub at: Timestamp,
    /// Whether another process uses another one.
    pub has_several: bool,
}

/// Notes that this process uses a cache, and no longer its former one. Another one counts when it was noted in the last 20 seconds, and
/// since this process began to: those who used it before may be gone, together with it.
///
/// # Errors
/// When the database fails, or accepts no writes.
pub async fn note(
    conn: &mut PgConnection,
    ours: &CacheId,
    former: Option<&CacheId>,
    began: Option<Timestamp>,
) -> Result<Noted, StoreError> {
    let (ours, former) = (ours.to_string(), former.map(CacheId::to_string));
    let query = sqlx::query_as!(
        Noted,
        r#"
        with gone as (
            delete from caches where id <> $1 and (id = $2 or seen_at < now() - interval '1 day')
        ), noted as (
            insert into caches (id, seen_at) values ($1, now()) on conflict (id) do update set seen_at = excluded.seen_at
        )
        select now() as "at!", exists (
            select 1 from caches
            where id <> $1 and id is distinct from $2 and seen_at > now() - interval '20 seconds' and seen_at > $3
        ) as "has_several!"
        "#,
        ours,
        former,
        began
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
