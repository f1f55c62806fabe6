//! Comparing what is known with what the providers have, and repairing the difference.
//!
//! A delta takes over the events that the provider lists and the inbox lacks. A full run compares everything: all
//! subscriptions in every status, what went back, and every subscription that runs here and was in no list. Both are
//! safe beside live webhooks: answers are ordered by when they were asked for, and effects are those of an event. What would
//! take access is applied last, unless it is too much to be right.

mod compare;
mod contradicting;
mod delta;
mod full;
mod import;
mod learn;
mod schedule;
mod takings;
mod unlinked;
mod unseen;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::binding::Misfit;
use entitlement::catalog::Provider;
use serde::Serialize;

use crate::clock;
use crate::component::Billing;
use crate::keys::KeyError;
use crate::provider;
use crate::provider::client::ProviderError;
use crate::store::reconciliations::{self, Run};
use crate::store::takings::Held;
use crate::store::{StoreError, links};

pub use crate::store::reconciliations::Kind;
pub(crate) use compare::Asking;
pub use import::{Contradiction, ImportStopped, ImportedFrom, PaidTwice, Unlinked};
pub use unlinked::UnlinkedSubscription;

/// Why a comparison stopped. It goes on from there the next time.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("{} is not used: {misfit}", provider::key_variable(*provider))]
    WrongKey { provider: Provider, misfit: Misfit },
    #[error("no provider can be asked: set STRIPE_API_KEY or POLAR_ACCESS_TOKEN")]
    NobodyToAsk,
    #[error("{provider} has to be asked about the subscriptions that it no longer showed: set {}", provider::key_variable(*provider))]
    NotAsked { provider: Provider },
}

impl From<KeyError> for ReconcileError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Wrong { provider, misfit } => Self::WrongKey { provider, misfit },
            KeyError::Provider(error) => Self::Provider(error),
            KeyError::Store(error) => Self::Store(error),
        }
    }
}

/// Whether a person wants what takes access from many to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    No,
    Yes,
}

/// How a comparison went, so far or in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub provider: Provider,
    pub kind: Kind,
    /// Objects, or events, that were compared.
    pub compared: i64,
    /// Differences that were found, and repaired.
    pub drift: i64,
    /// Subscriptions that run at the provider and whose account is not named anywhere: they give no access.
    pub unlinked: i64,
    /// The first of them.
    pub unlinked_subscriptions: Vec<UnlinkedSubscription>,
    /// The first customers of which a subscription that runs names another account.
    pub contradictions: Vec<Contradiction>,
    /// Subscriptions that run here and about which the provider refuses to say anything: they stay as they are.
    pub refused: i64,
    /// Subscriptions that run here and that the provider does not have: they stay as they are, until a person ends them.
    pub unseen: i64,
    /// Accounts that would have lost access: too many for nothing to be wrong, so they were spared.
    pub held_back: i64,
    /// The first of them; [`Billing::held_back`] has all.
    pub held: Vec<Held>,
    /// Whether it came to its end.
    pub is_complete: bool,
}

impl Report {
    fn of(run: &Run) -> Self {
        Self { compared: run.compared, drift: run.drift, ..Self::begun(run.provider, run.kind) }
    }

    const fn begun(provider: Provider, kind: Kind) -> Self {
        Self {
            provider,
            kind,
            compared: 0,
            drift: 0,
            unlinked: 0,
            unlinked_subscriptions: Vec::new(),
            contradictions: Vec::new(),
            refused: 0,
            unseen: 0,
            held_back: 0,
            held: Vec::new(),
            is_complete: false,
        }
    }
}

impl Billing {
    /// Compares with every provider that can be asked; `None` for those that another process is comparing with right
    /// now. `progress` is called after each page.
    ///
    /// # Errors
    /// When nobody can be asked, a provider does not answer, or the database fails: what was compared stays so.
    pub async fn reconcile(
        &self,
        kind: Kind,
        force: Force,
        now: Timestamp,
        mut progress: impl FnMut(&Report) + Send,
    ) -> Result<Vec<Report>, ReconcileError> {
        let mut reports = Vec::new();
        for provider in self.asked()? {
            let plan = (kind, force, chrono::Duration::zero());
            reports.extend(self.reconcile_with(provider, plan, now, &mut progress).await?);
        }
        Ok(reports)
    }

    /// Compares everything of one account with every provider that can be asked.
    ///
    /// # Errors
    /// As [`Billing::reconcile`].
    pub async fn reconcile_account(&self, account: &AccountId, now: Timestamp) -> Result<Vec<Report>, ReconcileError> {
        let asked = self.asked()?;
        let customers = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            links::customers_of(&mut conn, account).await?
        };
        let mut reports = Vec::new();
        for provider in asked {
            let mut report = Report::begun(provider, Kind::Full);
            self.askable(provider).await?;
            for customer in customers.iter().filter(|customer| customer.provider == provider.as_str()) {
                self.compare_customer(provider, &customer.customer_id, now, &mut report).await?;
            }
            report.is_complete = true;
            reports.push(report);
        }
        Ok(reports)
    }

    /// Compares everything of one customer with its provider. Returns how much was compared.
    ///
    /// # Errors
    /// As [`Billing::reconcile`].
    pub async fn reconcile_customer(
        &self,
        provider: Provider,
        customer: &str,
        now: Timestamp,
    ) -> Result<i64, ReconcileError> {
        let mut report = Report::begun(provider, Kind::Full);
        self.compare_customer(provider, customer, now, &mut report).await?;
        Ok(report.compared)
    }

    fn asked(&self) -> Result<Vec<Provider>, ReconcileError> {
        let providers = self.providers();
        let asked = provider::ALL.into_iter().filter(|provider| provider::can_ask(&providers, *provider));
        let asked: Vec<Provider> = asked.collect();
        if asked.is_empty() { Err(ReconcileError::NobodyToAsk) } else { Ok(asked) }
    }

    /// One run with one provider, if it is time for one and nobody else is at it.
    async fn reconcile_with(
        &self,
        provider: Provider,
        (kind, force, every): (Kind, Force, chrono::Duration),
        now: Timestamp,
        progress: &mut (impl FnMut(&Report) + Send),
    ) -> Result<Option<Report>, ReconcileError> {
        // Before anything is begun: a key that does not fit compares nothing.
        self.askable(provider).await?;
        let taken = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            reconciliations::take(&mut conn, (provider, kind), every, now).await?
        };
        let Some(mut run) = taken else { return Ok(None) };
        let mut report = Report::of(&run);
        let result = match kind {
            Kind::Delta => self.take_over_events((&mut run, force), &mut report, now, progress).await,
            Kind::Full => self.compare_all((&mut run, force), &mut report, now, progress).await,
        };
        if let Err(error) = result {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            reconciliations::release(&mut conn, &run).await?;
            return Err(error);
        }
        (run.compared, run.drift) = (report.compared, report.drift);
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        reconciliations::end(&mut conn, &run, now).await?;
        drop(conn);
        report.is_complete = true;
        tracing::info!(
            %provider,
            kind = kind.as_str(),
            compared = report.compared,
            drift = report.drift,
            unlinked = report.unlinked,
            refused = report.refused,
            unseen = report.unseen,
            held_back = report.held_back,
            "compared with the provider"
        );
        Ok(Some(report))
    }

    async fn advance(&self, run: &mut Run, report: &Report, place: &str, now: Timestamp) -> Result<(), StoreError> {
        (run.compared, run.drift) = (report.compared, report.drift);
        let mut conn = self.pool().acquire().await?;
        reconciliations::advance(&mut conn, run, place, now.max(clock::now())).await
    }
}
