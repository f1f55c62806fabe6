//! What buyers agreed to, for an operator who is asked for proof.

use entitlement::Timestamp;
use entitlement::account::AccountId;

use crate::component::Billing;
use crate::store::consents::{self, Consent};
use crate::store::{StoreError, accounts};

/// Most consents that one listing shows.
const LIST_MAX: u32 = 1000;

impl Billing {
    /// Whether anything is known of an account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_known(&self, account: &AccountId) -> Result<bool, StoreError> {
        let mut conn = self.pool().acquire().await?;
        accounts::is_known(&mut conn, account).await
    }

    /// The newest consents, newest first, at most a thousand: of one account or of all; only those since a moment, and with an id
    /// smaller than `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn consents(
        &self,
        account: Option<&AccountId>,
        (since, before): (Option<Timestamp>, Option<i64>),
        limit: u32,
    ) -> Result<Vec<Consent>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        consents::list(&mut conn, account, (since, before), i64::from(limit.min(LIST_MAX))).await
    }
}
