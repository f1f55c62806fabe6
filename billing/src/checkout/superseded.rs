//! Open checkouts of what was bought elsewhere: at the other provider, or at the provider itself. Each is closed, so that it cannot
//! be paid as well.

use std::time::Duration;

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::{Provider, Sold};
use tokio_util::sync::CancellationToken;

use super::check_configured;
use super::turn::Turn;
use crate::api::standing::{self, Standing};
use crate::component::Billing;
use crate::problem::Problem;
use crate::provider::client::CheckoutState;
use crate::provider::{can_ask, sell};
use crate::store::StoreError;
use crate::store::checkouts::{self, Session};
use crate::{chain, clock};

/// How often is looked for checkouts whose purchase another process has learnt of.
const EVERY: Duration = Duration::from_secs(15);

/// How long after a provider did not answer it is asked again.
const AGAIN: TimeDelta = TimeDelta::minutes(1);

/// Checkouts that are looked at in one go.
const BATCH: i64 = 20;

/// The end of a checkout.
enum Fate {
    /// It stays: it sells something else, or is paid already.
    Kept,
    Closed,
    /// Its provider has no way to close it.
    Open,
}

impl Billing {
    /// Closes open checkouts of what was bought elsewhere until told to stop.
    pub(crate) async fn run_checkout_watch(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.close_superseded(clock::now()).await {
                tracing::debug!(error = chain::told(&error), "open checkouts cannot be looked at yet");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.shared().checkout_superseded.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Looks at every checkout that is due.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn close_superseded(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let mut conn = self.pool().acquire().await?;
            let due = checkouts::superseded(&mut conn, now, BATCH).await?;
            drop(conn);
            for account in &due {
                if let Err(problem) = self.close_superseded_of(account, now).await {
                    tracing::warn!(%account, code = problem.code(), "an open checkout of what is paid for already cannot be closed now: it is tried again each minute");
                    let mut conn = self.pool().acquire().await?;
                    checkouts::look_again(&mut conn, account, now + AGAIN).await?;
                }
            }
            if due.is_empty() {
                return Ok(());
            }
        }
    }

    async fn close_superseded_of(&self, account: &AccountId, now: Timestamp) -> Result<(), Problem> {
        let turn = Turn::take(self, account).await?;
        let looked = match &turn.lease.session {
            Some(session) => self.close_if_held(account, session, now).await,
            None => Ok(Fate::Kept),
        };
        let kept = match looked {
            Ok(fate) => {
                let session = turn.lease.session.as_ref().filter(|_| !matches!(fate, Fate::Closed));
                self.settle_checkout(account, &turn, session).await
            }
            Err(problem) => Err(problem),
        };
        turn.end().await;
        kept
    }

    /// Stores what is left of the checkout: it is no longer due.
    async fn settle_checkout(
        &self,
        account: &AccountId,
        turn: &Turn<'_>,
        session: Option<&Session>,
    ) -> Result<(), Problem> {
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        checkouts::put(&mut conn, account, &turn.lease, session).await?;
        Ok(())
    }

    async fn close_if_held(&self, account: &AccountId, session: &Session, now: Timestamp) -> Result<Fate, Problem> {
        let (provider, id) = (session.provider, &session.id);
        let standing = standing::of(self, account, now).await?;
        if !is_held(&standing, session, now) {
            return Ok(Fate::Kept);
        }
        if !can_ask(&self.providers(), provider) {
            tracing::warn!(%account, %provider, session = id, "an open checkout of what is paid for already stays open: there is no key to close it with");
            return Ok(Fate::Open);
        }
        check_configured(self, provider).await?;
        let providers = self.providers();
        let state = match sell::checkout_state(&providers, provider, id).await? {
            CheckoutState::Open => sell::close_checkout(&providers, provider, id).await?,
            CheckoutState::Complete | CheckoutState::Processing => return Ok(Fate::Kept),
            CheckoutState::Over => return Ok(Fate::Closed),
        };
        match state {
            CheckoutState::Open => {
                tracing::warn!(%account, %provider, session = id, "an open checkout of what is paid for already stays open until it expires: its provider cannot close it");
                Ok(Fate::Open)
            }
            CheckoutState::Over => {
                tracing::info!(%account, %provider, session = id, "an open checkout was closed: what it sells is paid for already");
                Ok(Fate::Closed)
            }
            CheckoutState::Complete | CheckoutState::Processing => Ok(Fate::Kept),
        }
    }
}

/// Whether what a checkout sells would not be sold to the account any more.
fn is_held(standing: &Standing, Session { provider, price, .. }: &Session, now: Timestamp) -> bool {
    let (provider, price): (Provider, &str) = (*provider, price);
    match standing.catalog().sold(provider, price) {
        Some(Sold::Addon(addon)) => standing.has_addon(&addon.code, now),
        Some(Sold::Tier(_)) | None => !standing.held(now).is_empty() || standing.may_hold_unnamed(now),
    }
}
