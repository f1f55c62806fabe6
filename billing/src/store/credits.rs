//! Complimentary and earned access.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::{StoreError, reason_of};

/// Access that no subscription pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    pub id: i64,
    /// A tier's code.
    pub tier: String,
    /// Why it was given.
    pub reason: String,
    pub starts_at: Timestamp,
    /// Open when `None`.
    pub ends_at: Option<Timestamp>,
    /// When an operator took it back.
    pub revoked_at: Option<Timestamp>,
}

impl Credit {
    /// When it stops giving access; open when `None`.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        [self.ends_at, self.revoked_at].into_iter().flatten().min()
    }
}

/// Gives a credit from `now` on; the account must have a row. Returns its id.
///
/// # Errors
/// When the database fails.
pub async fn give(
    conn: &mut PgConnection,
    account: &AccountId,
    tier: &str,
    reason: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        insert into credits (account, tier, reason, starts_at, ends_at, created_at) values ($1, $2, $3, $4, $5, $4)
        returning id
        "#,
        account.as_str(),
        tier,
        reason_of(reason),
        now,
        until
    );
    Ok(query.fetch_one(conn).await?)
}

/// Takes back the credits of an account that still give something: one of them, or all when `credit` is `None`.
/// Returns their ids.
///
/// # Errors
/// When the database fails.
pub async fn revoke(
    conn: &mut PgConnection,
    account: &AccountId,
    credit: Option<i64>,
    now: Timestamp,
) -> Result<Vec<i64>, StoreError> {
    let query = sqlx::query_scalar!(
        r#"
        update credits set revoked_at = $3
        where account = $1 and ($2::bigint is null or id = $2)
            and revoked_at is null and (ends_at is null or ends_at > $3)
        returning id
        "#,
        account.as_str(),
        credit,
        now
    );
    Ok(query.fetch_all(conn).await?)
}
