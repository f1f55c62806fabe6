//! Everything that is personal of an account goes (GDPR article 17).

use entitlement::account::AccountId;
use entitlement::subscription::SubscriptionId;
use serde::Serialize;

use super::{AccountError, Rehearsal, check_no_pseudonym, check_not_moved, named};
use crate::checkout::{Last, Turn, check_configured, close_last, observed};
use crate::clock;
use crate::component::Billing;
use crate::ops::Asker;
use crate::ops::credits::Wish;
use crate::problem::Problem;
use crate::provider::sell;
use crate::store::erasure::{self, Erasure, Running};
use crate::store::{StoreError, accounts, gone, victims, wishes};

/// The handling of subscriptions that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// With one of them nothing is erased.
    Refuse,
    /// They end at once, without a refund.
    Now,
}

/// The account to erase, and how.
#[derive(Clone, Copy, Debug)]
pub struct EraseWish<'a> {
    pub account: &'a AccountId,
    pub cancel: Cancel,
    /// An id of the asker's own: it is done once.
    pub id: Option<&'a str>,
    pub asker: Asker,
    pub rehearsal: Rehearsal,
}

/// The rows that have gone, and those that stay without a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erased {
    pub account: AccountId,
    /// Whether that was otherwise before.
    pub changed: bool,
    /// Subscriptions that run: they would end, where it is only tried out, and have ended else.
    pub canceled: Vec<Running>,
    #[serde(flatten)]
    pub erasure: Erasure,
    /// Whether the cache knows already.
    pub published: bool,
}

impl Billing {
    /// Erases an account with all of its names. Rows for the books and as evidence get a pseudonym, and nothing that providers tell
    /// later brings it back. Done again, it changes nothing.
    ///
    /// # Errors
    /// When nothing is known of the account, it goes by another id, a subscription or a checkout of it runs, a provider does not confirm an
    /// end, the wish's id was used for something else, or the database fails.
    pub async fn erase_account(&self, wish: EraseWish<'_>) -> Result<Erased, AccountError> {
        let account = wish.account;
        check_no_pseudonym(account)?;
        let mut conn = self.pool().acquire().await?;
        check_not_moved(&mut conn, account).await?;
        if !accounts::is_known(&mut conn, account).await? {
            if !erasure::is_erased(&mut conn, account).await? {
                drop(conn);
                return Err(self.unknown(account).await.into());
            }
            drop(conn);
            return Ok(self.erased_before(account).await);
        }
        drop(conn);
        if wish.rehearsal == Rehearsal::Yes {
            let canceled = self.running_of(account).await?;
            let erasure =
                victims::again(|| self.erase_in_database(wish)).await?.map(|(erasure, _)| erasure).unwrap_or_default();
            return Ok(Erased { account: account.clone(), changed: true, canceled, erasure, published: false });
        }
        // Nothing is sold to it meanwhile. Another one may have erased it by then, and a turn must not bring it back.
        let Some(turn) = Turn::take_of_known(self, account).await? else {
            return Ok(self.erased_before(account).await);
        };
        let erased = self.erase_in_turn(wish, &turn).await;
        turn.end().await;
        let Some((canceled, erasure, names)) = erased? else { return Ok(self.erased_before(account).await) };
        tracing::info!(pseudonym = erasure.pseudonym, by = wish.asker.cause(), "an account was erased");
        let published = self.publish_at_once(names, clock::now()).await;
        Ok(Erased { account: account.clone(), changed: true, canceled, erasure, published })
    }

    async fn erased_before(&self, account: &AccountId) -> Erased {
        let published = self.publish_once_more(account, clock::now()).await;
        let (canceled, erasure) = (Vec::new(), Erasure::default());
        Erased { account: account.clone(), changed: false, canceled, erasure, published }
    }

    async fn erase_in_turn(
        &self,
        wish: EraseWish<'_>,
        turn: &Turn<'_>,
    ) -> Result<Option<(Vec<Running>, Erasure, Vec<AccountId>)>, AccountError> {
        match close_last(self, wish.account, turn).await? {
            Last::Over => {}
            Last::Open => return Err(AccountError::CheckoutOpen),
            Last::Pending => return Err(AccountError::PaymentPending),
        }
        let running = self.running_of(wish.account).await?;
        if !running.is_empty() {
            if wish.cancel == Cancel::Refuse {
                return Err(AccountError::Running(running));
            }
            self.end_all(&running).await?;
            let left = self.running_of(wish.account).await?;
            if !left.is_empty() {
                return Err(AccountError::NotConfirmed(left));
            }
        }
        Ok(victims::again(|| self.erase_in_database(wish)).await?.map(|(erasure, names)| (running, erasure, names)))
    }

    async fn running_of(&self, account: &AccountId) -> Result<Vec<Running>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        erasure::running(&mut conn, &[account.to_string()]).await
    }

    /// Ends each of them at its provider, and asks how it stands then.
    async fn end_all(&self, running: &[Running]) -> Result<(), AccountError> {
        for one in running {
            let Running { provider, subscription_id, .. } = one;
            let provider =
                provider.parse().map_err(|error| StoreError::row("subscriptions", subscription_id, &error))?;
            let subscription = SubscriptionId { provider, id: subscription_id.clone() };
            let ended = self.end_one(&subscription).await;
            ended.map_err(|problem| AccountError::NotEnded { subscription: named(one), problem: Box::new(problem) })?;
        }
        Ok(())
    }

    async fn end_one(&self, subscription: &SubscriptionId) -> Result<(), Problem> {
        check_configured(self, subscription.provider).await?;
        sell::end_now(&self.providers(), subscription).await?;
        observed(self, subscription).await
    }

    /// The erasure, and the names of the account; nothing when it was done before.
    async fn erase_in_database(&self, wish: EraseWish<'_>) -> Result<Option<(Erasure, Vec<AccountId>)>, AccountError> {
        let EraseWish { account, id, asker, rehearsal, .. } = wish;
        let now = clock::now();
        let mut tx = self.pool().begin().await?;
        let pseudonym = erasure::pseudonym(&mut tx, account).await?;
        let once = Wish::of(id, &pseudonym, format!("erase {pseudonym}"))?;
        if once.done(&mut tx).await?.is_some() {
            return Ok(None);
        }
        gone::hold_events(&mut tx).await?;
        if !accounts::is_known(&mut tx, account).await? {
            return Ok(None);
        }
        let mut names = vec![account.to_string()];
        names.extend(gone::aliases_of(&mut tx, account).await?);
        let running = erasure::running(&mut tx, &names).await?;
        if !running.is_empty() && rehearsal == Rehearsal::No {
            return Err(AccountError::Running(running));
        }
        let erasure = erasure::erase(&mut tx, &names, &pseudonym, asker.cause(), now).await?;
        if rehearsal == Rehearsal::Yes {
            tx.rollback().await?;
        } else {
            once.note(&mut tx, Vec::new(), 1, now).await?;
            if let Some(id) = id {
                // It may have the name of the account in it.
                wishes::hide(&mut tx, id).await?;
            }
            tx.commit().await?;
        }
        let names = names.iter().filter_map(|name| AccountId::parse(name).ok()).collect();
        Ok(Some((erasure, names)))
    }
}
