//! What buyers agreed to, for an operator who is asked for proof.

use entitlement::account::AccountId;

use crate::component::Billing;
use crate::store::StoreError;
use crate::store::consents::{self, Consent};

/// Most consents that one listing shows.
const LIST_MAX: u32 = 1000;

impl Billing {
    /// The newest consents, newest first, at most a thousand: of one account or of all; with `before` only those with a
    /// smaller id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn consents(
        &self,
        account: Option<&AccountId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Consent>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        consents::list(&mut conn, account, before, i64::from(limit.min(LIST_MAX))).await
    }
}
