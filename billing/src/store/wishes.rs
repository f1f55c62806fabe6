//! What operators asked for under an id of their own.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use sqlx::PgConnection;

use super::StoreError;

/// What came of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fulfilled {
    /// The whole of the wish, in words.
    pub wish: String,
    pub credits: Vec<i64>,
    pub version: i64,
}

/// Makes whoever asks under the same id wait until the transaction ends, and finds what came of it before.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut PgConnection, id: &str) -> Result<Option<Fulfilled>, StoreError> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('operator_wishes ' || $1, 0))", id)
        .fetch_one(&mut *conn)
        .await?;
    let query = sqlx::query_as!(
        Fulfilled,
        "select wish, credits, version from operator_wishes where id in ($1, encode(erasure_hash('wish', $1), 'hex'))",
        id
    );
    Ok(query.fetch_optional(conn).await?)
}

/// Leaves a hash of an id in its place: it is found as before, and nobody can read it.
///
/// # Errors
/// When the database fails.
pub async fn hide(conn: &mut PgConnection, id: &str) -> Result<(), StoreError> {
    sqlx::query!("update operator_wishes set id = encode(erasure_hash('wish', id), 'hex') where id = $1", id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes what came of a wish about an account.
///
/// # Errors
/// When the id was used, or the database fails.
pub async fn note(
    conn: &mut PgConnection,
    (id, account): (&str, &AccountId),
    done: &Fulfilled,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query!(
        "insert into operator_wishes (id, wish, credits, version, made_at, account) values ($1, $2, $3, $4, $5, $6)",
        id,
        done.wish,
        &done.credits,
        done.version,
        now,
        account.as_str()
    );
    query.execute(conn).await?;
    Ok(())
}
