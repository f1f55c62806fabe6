//! A copy of all that is stored of an account (GDPR articles 15 and 20).

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;

use super::{AccountError, check_not_moved};
use crate::clock;
use crate::component::Billing;
use crate::store::export::{self, Tables};
use crate::store::{accounts, gone, schema};

/// All that is stored of an account.
#[derive(Clone, Debug, Serialize)]
pub struct Exported {
    pub account: AccountId,
    pub exported_at: Timestamp,
    /// The ids by which providers may still name it.
    pub aliases: Vec<String>,
    /// Every row about it, by table.
    pub tables: Tables,
    /// Events that wait in the inbox and are about nobody that is known yet: some may be about this account.
    pub unassigned_events: i64,
}

impl Billing {
    /// Reads every row about an account, as all of them stood at one moment.
    ///
    /// # Errors
    /// When nothing is known of it, it goes by another id, or the database fails.
    pub async fn export_account(&self, account: &AccountId) -> Result<Exported, AccountError> {
        let mut conn = self.pool().acquire().await?;
        let mut tx = schema::at_one_moment(&mut conn).await?;
        check_not_moved(&mut tx, account).await?;
        if !accounts::is_known(&mut tx, account).await? {
            drop(tx);
            drop(conn);
            return Err(self.unknown(account).await.into());
        }
        let aliases = gone::aliases_of(&mut tx, account).await?;
        let names: Vec<String> = std::iter::once(account.to_string()).chain(aliases.iter().cloned()).collect();
        let tables = export::rows(&mut tx, &names).await?;
        let unassigned_events = export::unassigned(&mut tx).await?;
        Ok(Exported { account: account.clone(), exported_at: clock::now(), aliases, tables, unassigned_events })
    }
}
