//! From test to live: once one live subscription is stored, those of test mode grant nothing.
//!
//! Where that takes access from many accounts, a person has to say so.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use sqlx::PgConnection;

use crate::component::Billing;
use crate::provider;
use crate::store::accounts::{self, Change};
use crate::store::{StoreError, keys};
use crate::takings::{self, What};

/// What changes for the accounts that have subscriptions of test mode.
pub const DETAIL: &str = "live subscriptions count: those of test mode grant nothing";

/// A live subscription has been stored: from now on live ones alone count, unless that would take access from many.
/// Answers the accounts for which something changes by it.
///
/// # Errors
/// When the database fails.
pub async fn begin(conn: &mut PgConnection, provider: Provider, now: Timestamp) -> Result<Vec<AccountId>, StoreError> {
    if keys::do_live_count(conn, provider).await? {
        return Ok(Vec::new());
    }
    let losing = u64::try_from(keys::accounts_of_test_mode(conn, provider).await?).unwrap_or(0);
    let verdict = takings::weigh(conn, losing, now).await?;
    if verdict.is_many() {
        // It is told by the watch for as long as it is so.
        return Ok(Vec::new());
    }
    let (losing, _) = keys::of_test_mode(conn, provider).await?;
    if !keys::live_counts(conn, provider, now).await? {
        return Ok(Vec::new());
    }
    takings::taken(conn, What::Mode, &losing, now).await?;
    Ok(losing)
}

impl Billing {
    /// What was stored by an earlier version may be of both modes.
    pub(super) async fn settle_modes(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut changed = Vec::new();
        for provider in provider::ALL {
            let mut tx = self.pool().begin().await?;
            if keys::is_live_stored(&mut tx, provider).await? {
                let losing = begin(&mut tx, provider, now).await?;
                let change = |account| (account, Change { cause: "upgrade", detail: DETAIL });
                let changes: Vec<_> = losing.iter().map(change).collect();
                accounts::each_changed(&mut tx, &changes, now).await?;
                changed.extend(losing);
            }
            tx.commit().await?;
        }
        self.publish_at_once(changed, now).await;
        Ok(())
    }
}
