//! Accounts that a person, or the application, blocks: no gated route passes, whatever is paid.

use entitlement::account::AccountId;
use serde::Serialize;

use super::{OperatorError, check_no_pseudonym, check_not_moved};
use crate::clock;
use crate::component::Billing;
use crate::store::accounts::{self, Change};
use crate::store::blocks;

/// A block, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    Begin,
    End,
}

/// Whether an account of which nothing is known is blocked, such as one that has never bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Refuse,
    Block,
}

/// The user who asks for it, in the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    Operator,
    Application,
}

/// The state of an account after a block, or after its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocked {
    pub account: AccountId,
    pub blocked: bool,
    /// Whether that was otherwise before.
    pub changed: bool,
    /// Whether the cache knows already.
    pub published: bool,
}

impl Asker {
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Application => "application",
        }
    }
}

impl Billing {
    /// Blocks an account, or ends its block, and tells every proxy. Done again, it changes nothing.
    ///
    /// # Errors
    /// When nothing is known of the account and that is to be refused, it goes by another id or is a pseudonym, or the database fails.
    pub async fn block(
        &self,
        account: &AccountId,
        (block, unknown): (Block, Unknown),
        asker: Asker,
    ) -> Result<Blocked, OperatorError> {
        check_no_pseudonym(account)?;
        let now = clock::now();
        let mut tx = self.pool().begin().await?;
        check_not_moved(&mut tx, account).await?;
        if !accounts::is_known(&mut tx, account).await? {
            match (self.unknown(account).await, unknown) {
                (OperatorError::UnknownAccount(_), Unknown::Block) => accounts::ensure(&mut tx, account, now).await?,
                (refused, _) => return Err(refused),
            }
        }
        let (changed, detail) = match block {
            Block::Begin => (blocks::block(&mut tx, account, now).await?, "blocked: no gated route passes"),
            Block::End => (blocks::unblock(&mut tx, account).await?, "no longer blocked"),
        };
        if changed {
            accounts::changed(&mut tx, account, Change { cause: asker.cause(), detail }, now).await?;
        }
        tx.commit().await?;
        let published = match changed {
            true => self.publish_at_once([account.clone()], now).await,
            false => self.publish_once_more(account, now).await,
        };
        let blocked = block == Block::Begin;
        tracing::info!(%account, blocked, changed, by = asker.cause(), "the block of an account was asked for");
        Ok(Blocked { account: account.clone(), blocked, changed, published })
    }
}
