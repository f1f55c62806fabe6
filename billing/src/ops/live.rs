//! After tests: live subscriptions alone count, by the word of a person who was told how many others stop granting.

use entitlement::catalog::Provider;
use serde::Serialize;

use super::{OperatorError, check_told};
use crate::clock;
use crate::component::Billing;
use crate::keys;
use crate::provider;
use crate::store::StoreError;
use crate::store::accounts::{self, Change};
use crate::store::keys as store;
use crate::takings::{self, Verdict, What};

/// What going live would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoingLive {
    /// Live subscriptions alone count already.
    pub is_live: bool,
    /// Subscriptions of test mode that stop granting.
    pub subscriptions: i64,
    /// Whose they are, and how that stands to all that have access.
    pub accounts: Verdict,
}

/// What going live has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WentLive {
    /// Accounts whose subscriptions of test mode grant nothing any more.
    pub accounts: usize,
    /// Whether the cache knows already.
    pub published: bool,
}

/// The provider that has modes.
const PROVIDER: Provider = Provider::Stripe;

/// Who acts, in the audit log.
const CAUSE: &str = "operator";

impl Billing {
    /// What going live would do.
    ///
    /// # Errors
    /// When the configured key is a test one, or the database fails.
    pub async fn plan_use_live(&self) -> Result<GoingLive, OperatorError> {
        if provider::livemode(&self.providers(), PROVIDER) == Some(false) {
            return Err(OperatorError::TestKey);
        }
        self.catch_up().await?;
        let mut conn = self.pool().acquire().await?;
        let is_live = store::do_live_count(&mut conn, PROVIDER).await?;
        let (accounts, subscriptions) = store::of_test_mode(&mut conn, PROVIDER).await?;
        let wanted = if is_live { 0 } else { u64::try_from(accounts.len()).unwrap_or(u64::MAX) };
        let accounts = takings::weigh(&mut conn, wanted, clock::now()).await?;
        Ok(GoingLive { is_live, subscriptions: if is_live { 0 } else { subscriptions }, accounts })
    }

    /// Goes live: subscriptions and events of test mode grant nothing from now on.
    ///
    /// # Errors
    /// As [`Billing::plan_use_live`], and when more would stop granting than the plan says.
    pub async fn use_live(&self, plan: &GoingLive) -> Result<WentLive, OperatorError> {
        if provider::livemode(&self.providers(), PROVIDER) == Some(false) {
            return Err(OperatorError::TestKey);
        }
        let now = clock::now();
        let mut tx = self.pool().begin().await?;
        let (losing, _) = store::of_test_mode(&mut tx, PROVIDER).await?;
        check_told(plan.accounts.wanted, u64::try_from(losing.len()).unwrap_or(u64::MAX))?;
        if !store::live_counts(&mut tx, PROVIDER, now).await? {
            return Ok(WentLive { accounts: 0, published: true });
        }
        let change = |account| (account, Change { cause: CAUSE, detail: keys::DETAIL });
        let changes: Vec<_> = losing.iter().map(change).collect();
        accounts::each_changed(&mut tx, &changes, now).await?;
        // Where they are many, a person was told so, and they need not be counted.
        if !plan.accounts.is_many() {
            takings::taken(&mut tx, What::Mode, &losing, now).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        let accounts = losing.len();
        let published = self.publish_at_once(losing, now).await;
        Ok(WentLive { accounts, published })
    }
}
