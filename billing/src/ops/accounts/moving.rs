//! Everything of an account goes to another id, as when an identity provider has changed its ids.

use entitlement::account::AccountId;
use serde::Serialize;
use sqlx::PgConnection;

use super::{AccountError, Rehearsal, check_no_pseudonym};
use crate::chain;
use crate::checkout::{Last, Turn, close_last};
use crate::clock;
use crate::component::Billing;
use crate::ops::credits::Wish;
use crate::ops::{Asker, OperatorError};
use crate::store::accounts::{self, Change};
use crate::store::moves::{self, Moved};
use crate::store::{gone, victims};

/// Whether two accounts may become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    Refuse,
    Allow,
}

/// The account to move, and the id that it moves to.
#[derive(Clone, Copy, Debug)]
pub struct MoveWish<'a> {
    pub from: &'a AccountId,
    pub to: &'a AccountId,
    pub merge: Merge,
    /// An id of the asker's own: it is done once.
    pub id: Option<&'a str>,
    pub asker: Asker,
    pub rehearsal: Rehearsal,
}

/// The rows that have gone from one account to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MovedAccount {
    pub account: AccountId,
    pub to: AccountId,
    /// Whether that was otherwise before.
    pub changed: bool,
    pub moved: Moved,
    /// Whether the cache knows already.
    pub published: bool,
}

/// The outcome in the database.
enum Outcome {
    Done(Moved),
    /// It was so before.
    Before,
}

impl Billing {
    /// Moves everything of an account to another id, which from then on has what it paid for; the first is an alias for what providers
    /// name. Done again, it changes nothing.
    ///
    /// # Errors
    /// When nothing is known of the account, the other has something of its own and that may not be merged, either goes by another id,
    /// the wish's id was used for something else, or the database fails.
    pub async fn move_account(&self, wish: MoveWish<'_>) -> Result<MovedAccount, AccountError> {
        let MoveWish { from, to, .. } = wish;
        if from == to {
            return Err(AccountError::Same(from.clone()));
        }
        check_no_pseudonym(from)?;
        check_no_pseudonym(to)?;
        if !self.is_known(from).await? {
            return Err(self.unknown(from).await.into());
        }
        let outcome = match wish.rehearsal {
            Rehearsal::Yes => victims::again(|| self.move_in_database(wish)).await?,
            Rehearsal::No => {
                // Nothing is sold to it meanwhile.
                let turn = Turn::take(self, from).await?;
                self.close_before_move(from, &turn).await;
                let outcome = victims::again(|| self.move_in_database(wish)).await;
                turn.end().await;
                outcome?
            }
        };
        let (changed, moved) = match outcome {
            Outcome::Done(moved) => (true, moved),
            Outcome::Before => (false, Moved::default()),
        };
        let published = match (wish.rehearsal, changed) {
            (Rehearsal::Yes, _) => false,
            (Rehearsal::No, true) => {
                tracing::info!(account = %from, %to, by = wish.asker.cause(), "an account was moved to another id");
                self.shared().event_due.notify_one();
                self.publish_at_once([from.clone(), to.clone()], clock::now()).await
            }
            (Rehearsal::No, false) => {
                let now = clock::now();
                self.publish_once_more(from, now).await && self.publish_once_more(to, now).await
            }
        };
        Ok(MovedAccount { account: from.clone(), to: to.clone(), changed, moved, published })
    }

    /// A purchase in the open checkout is the new account's, whether it can be closed or not: the alias leads there.
    async fn close_before_move(&self, from: &AccountId, turn: &Turn<'_>) {
        match close_last(self, from, turn).await {
            Ok(Last::Over) => {}
            Ok(Last::Open | Last::Pending) => {
                tracing::warn!(account = %from, "a checkout of an account that moves stays open until it expires: what is paid there is for the new id");
            }
            Err(problem) => {
                tracing::warn!(account = %from, error = chain::told(&AccountError::from(problem)), "a checkout of an account that moves could not be closed: what is paid there is for the new id");
            }
        }
    }

    async fn move_in_database(&self, wish: MoveWish<'_>) -> Result<Outcome, AccountError> {
        let MoveWish { from, to, id, asker, .. } = wish;
        let now = clock::now();
        let mut tx = self.pool().begin().await?;
        let once = Wish::of(id, to, format!("move {from} to {to}"))?;
        if once.done(&mut tx).await?.is_some() {
            return Ok(Outcome::Before);
        }
        gone::hold_events(&mut tx).await?;
        accounts::hold(&mut tx, &[from, to]).await?;
        if is_moved(&mut tx, wish).await? {
            return Ok(Outcome::Before);
        }
        let moved = moves::move_all(&mut tx, from, to, now).await?;
        let (gone, came) = (format!("everything went to account {to}"), format!("everything of account {from} came"));
        let changes = [
            (from, Change { cause: asker.cause(), detail: &gone }),
            (to, Change { cause: asker.cause(), detail: &came }),
        ];
        let versions = accounts::each_changed(&mut tx, &changes, now).await?;
        let version = versions.iter().find(|(account, _)| account == to).map_or(0, |(_, version)| *version);
        if wish.rehearsal == Rehearsal::Yes {
            tx.rollback().await?;
        } else {
            once.note(&mut tx, Vec::new(), version, now).await?;
            tx.commit().await?;
        }
        Ok(Outcome::Done(moved))
    }
}

/// Whether it was moved there before, and nothing is left to be moved.
async fn is_moved(
    conn: &mut PgConnection,
    MoveWish { from, to, merge, .. }: MoveWish<'_>,
) -> Result<bool, AccountError> {
    match gone::moved_to(conn, from).await? {
        Some(moved) if moved != *to => return Err(OperatorError::Moved { account: from.clone(), to: moved }.into()),
        Some(_) if moves::is_empty(conn, from).await? => return Ok(true),
        _ => {}
    }
    match gone::moved_to(conn, to).await? {
        Some(moved) if moved != *from => return Err(OperatorError::Moved { account: to.clone(), to: moved }.into()),
        _ => {}
    }
    if merge == Merge::Refuse && !moves::is_empty(conn, to).await? {
        return Err(AccountError::NotEmpty(to.clone()));
    }
    Ok(false)
}
