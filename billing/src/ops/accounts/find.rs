//! Which account is meant, and what there is of it at a glance. Why it has that is `explain`.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::subscription::Subscription;
use serde::Serialize;

use super::{AccountError, check_not_moved};
use crate::clock;
use crate::component::Billing;
use crate::store::StoreError;
use crate::store::credits::Credit;
use crate::store::links::Customer;
use crate::store::search::{self, Found, Glance};

/// Most accounts that one search finds.
const FOUND_MAX: i64 = 50;

/// An account at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub account: AccountId,
    pub tier: String,
    pub status: String,
    pub features: Vec<String>,
    /// Until when that is so; `None`: until something happens.
    pub until: Option<Timestamp>,
    pub blocked_at: Option<Timestamp>,
    #[serde(flatten)]
    pub glance: Glance,
    pub customers: Vec<Customer>,
    pub subscriptions: Vec<Subscription>,
    pub credits: Vec<Credit>,
}

impl Billing {
    /// Accounts whose id contains a text, and those of which a customer, a subscription, a bill, a payment, an event or a code is called so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_accounts(&self, text: &str) -> Result<Vec<Found>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        search::find(&mut conn, text, FOUND_MAX).await
    }

    /// An account at a glance.
    ///
    /// # Errors
    /// When nothing is known of it, it goes by another id, or the database fails.
    pub async fn show_account(&self, account: &AccountId) -> Result<Shown, AccountError> {
        let mut conn = self.pool().acquire().await?;
        check_not_moved(&mut conn, account).await?;
        let glance = search::glance(&mut conn, account).await?;
        drop(conn);
        let Some(glance) = glance else { return Err(self.unknown(account).await.into()) };
        let explained = self.explain_account(account, clock::now()).await?;
        let segment = explained.segments.iter().find(|segment| segment.holds);
        Ok(Shown {
            account: account.clone(),
            tier: segment.map(|segment| segment.tier.clone()).unwrap_or_default(),
            status: segment.map(|segment| segment.status.clone()).unwrap_or_default(),
            features: segment.map(|segment| segment.features.clone()).unwrap_or_default(),
            until: segment.and_then(|segment| segment.until),
            blocked_at: explained.blocked_at,
            glance,
            customers: explained.customers,
            subscriptions: explained.subscriptions,
            credits: explained.credits,
        })
    }
}
