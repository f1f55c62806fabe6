//! By which claim of a token its account is known: with another one, every account is another one.

use crate::clock;
use crate::component::Billing;
use crate::store::{StoreError, naming};

impl Billing {
    /// How accounts were named when billing started last; `None` before the first start.
    ///
    /// # Errors
    /// When the database fails, or is not migrated.
    pub async fn naming(&self) -> Result<Option<String>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        naming::find(&mut conn).await
    }

    /// Notes how accounts are named from now on, and says so when it was another way before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_naming(&self, names: &str) -> Result<(), StoreError> {
        let mut conn = self.pool().acquire().await?;
        match naming::find(&mut conn).await? {
            Some(before) if before == names => return Ok(()),
            Some(before) => {
                tracing::error!(
                    before,
                    now = names,
                    "accounts are named by another claim: every account is another one"
                );
            }
            None => {}
        }
        naming::set(&mut conn, names, clock::now()).await
    }
}
