//! Complimentary and earned access.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::credit::DayCredit;
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
    /// Open when `None`, unless it is so many days.
    pub ends_at: Option<Timestamp>,
    /// Days that are spent while nothing else gives as much; else it is an interval.
    #[serde(default)]
    pub days: Option<i32>,
    /// When an operator took it back.
    pub revoked_at: Option<Timestamp>,
}

impl Credit {
    /// When an interval stops giving access; open when `None`.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        [self.ends_at, self.revoked_at].into_iter().flatten().min()
    }

    /// The credit as days, when it is not an interval.
    #[must_use]
    pub fn by_the_day(&self) -> Option<DayCredit> {
        Some(DayCredit {
            id: self.id,
            tier: self.tier.clone(),
            days: u32::try_from(self.days?).ok()?,
            given_at: self.starts_at,
            revoked_at: self.revoked_at,
        })
    }
}

/// How long a credit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Until a moment, whatever else gives access meanwhile.
    Until(Timestamp),
    /// For good.
    Open,
    /// So many days, spent one after the other while nothing else gives as much.
    Days(u32),
}

impl From<Option<Timestamp>> for Term {
    fn from(until: Option<Timestamp>) -> Self {
        until.map_or(Self::Open, Self::Until)
    }
}

/// Whether a credit was taken back.
///
/// # Errors
/// When the database fails.
pub async fn is_revoked(conn: &mut PgConnection, credit: i64) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar!(
        r#"select exists (select from credits where id = $1 and revoked_at is not null) as "revoked!""#,
        credit
    );
    Ok(query.fetch_one(conn).await?)
}

/// Gives a credit from `now` on; the account must have a row. Days are counted up to a hundred years. Returns its id.
///
/// # Errors
/// When the database fails.
pub async fn give(
    conn: &mut PgConnection,
    account: &AccountId,
    tier: &str,
    reason: &str,
    term: Term,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let (until, days) = match term {
        Term::Until(until) => (Some(until), None),
        Term::Open => (None, None),
        Term::Days(days) => (None, Some(i32::try_from(days).unwrap_or(i32::MAX))),
    };
    let query = sqlx::query_scalar!(
        r#"
        insert into credits (account, tier, reason, starts_at, ends_at, days, created_at)
        values ($1, $2, $3, $4, $5, $6, $4) returning id
        "#,
        account.as_str(),
        tier,
        reason_of(reason),
        now,
        until,
        days
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
