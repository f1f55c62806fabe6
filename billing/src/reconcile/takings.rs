//! What a comparison would take waits until everything is compared. Then it is counted: either all of it is applied, or
//! nothing of it, and a person is told how many. It stands in a table, however much it is.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use entitlement::event::Object;

use super::compare::{Asking, CAUSE};
use super::learn::Told;
use super::{Force, ReconcileError, Report};
use crate::apply::effect::Look;
use crate::component::Billing;
use crate::metrics;
use crate::provider::client::ProviderError;
use crate::provider::{self, Moments};
use crate::store::StoreError;
use crate::store::takings::{self as store, Held, Taker};
use crate::takings::{self, What};

/// Rows that are read at once.
const BATCH: i64 = 100;

/// Rows that a report shows.
const SHOWN: i64 = 20;

/// Most rows that one listing of an operator shows.
const LIST_MAX: u32 = 1000;

impl Billing {
    /// Notes that an answer would take access from accounts.
    pub(super) async fn hold(
        &self,
        asking: Asking<'_>,
        object: Option<&Object>,
        accounts: &[AccountId],
    ) -> Result<(), ReconcileError> {
        let Some(object) = object else { return Ok(()) };
        let by = Taker { provider: asking.provider, kind: kind(object), id: object.id() };
        let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
        Ok(store::hold(&mut conn, What::Comparison.as_str(), by, accounts, asking.now).await?)
    }

    /// Forgets the subscriptions that an earlier comparison held back: this one finds them again. Money that went back is known
    /// by now, so what it takes stays noted.
    pub(super) async fn forget_held(&self, provider: Provider) -> Result<(), StoreError> {
        let what = What::Comparison.as_str();
        let mut after = 0;
        loop {
            let mut conn = self.pool().acquire().await?;
            let held = store::held(&mut conn, Some((what, provider)), after, BATCH).await?;
            let Some(last) = held.last() else { return Ok(()) };
            after = last.id;
            for object in objects(&held) {
                if matches!(object, Object::Subscription(_)) {
                    let by = Taker { provider, kind: kind(&object), id: object.id() };
                    store::settle(&mut conn, what, by).await?;
                }
            }
        }
    }

    /// Applies what would take access, unless that are too many accounts.
    pub(super) async fn take_or_hold(
        &self,
        provider: Provider,
        force: Force,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        let what = What::Comparison;
        let verdict = {
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            let wanted = store::held_accounts(&mut conn, what.as_str(), &[provider], now).await?;
            takings::weigh(&mut conn, wanted, now).await?
        };
        if verdict.is_many() && force == Force::No {
            takings::tell_held_back(what, &verdict);
            report.held_back = i64::try_from(verdict.wanted).unwrap_or(i64::MAX);
            let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
            report.held = store::held(&mut conn, Some((what.as_str(), provider)), 0, SHOWN).await?;
            report.held.iter().filter(|held| held.object_kind.as_deref() == Some("dispute")).for_each(tell_of_dispute);
            return Ok(());
        }
        let told = if verdict.is_many() { Told::APerson } else { Told::Nobody };
        self.take_all(provider, told, report, now).await
    }

    /// Each is asked about again: it may have been told meanwhile, or have changed.
    async fn take_all(
        &self,
        provider: Provider,
        told: Told,
        report: &mut Report,
        now: Timestamp,
    ) -> Result<(), ReconcileError> {
        let what = What::Comparison.as_str();
        let mut after = 0;
        loop {
            let held = {
                let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                store::held(&mut conn, Some((what, provider)), after, BATCH).await?
            };
            let Some(last) = held.last() else { return Ok(()) };
            after = last.id;
            for object in objects(&held) {
                let askable = self.askable(provider).await?;
                let account = askable.account.as_deref();
                let asking =
                    Asking { cause: CAUSE, provider, account, observation: self.draw().await?, look: Look::First, now };
                let answers = provider::look(&askable.providers, provider, &object, Moments { at: now, now }).await;
                // The others must not wait behind one.
                if let Err(ProviderError::Refused(_)) = &answers {
                    report.refused += 1;
                    continue;
                }
                let answers = answers?;
                let repaired = self.learn_taking(asking, &answers, told).await?;
                if repaired.iter().any(|repaired| repaired.is_news) {
                    report.drift += 1;
                    metrics::count_drift();
                }
                let by = Taker { provider, kind: kind(&object), id: object.id() };
                let mut conn = self.pool().acquire().await.map_err(StoreError::from)?;
                store::settle(&mut conn, what, by).await?;
            }
        }
    }

    /// How many accounts would lose access by what comparisons with some providers hold back, each counted once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_accounts(&self, providers: &[Provider], now: Timestamp) -> Result<u64, StoreError> {
        let mut conn = self.pool().acquire().await?;
        store::held_accounts(&mut conn, What::Comparison.as_str(), providers, now).await
    }

    /// What is held back, the oldest first, at most a thousand; with `after` only those of rows with a greater id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_back(&self, after: Option<i64>, limit: u32) -> Result<Vec<Held>, StoreError> {
        let mut conn = self.pool().acquire().await?;
        store::held(&mut conn, None, after.unwrap_or(0), i64::from(limit.min(LIST_MAX))).await
    }
}

/// A person has to answer the bank in time, whatever becomes of the access.
fn tell_of_dispute(held: &Held) {
    let Held { account, provider, object_id, .. } = held;
    tracing::error!(
        provider,
        account,
        dispute = object_id,
        "a payment is disputed, and what that takes is held back: answer it at the provider before its deadline"
    );
}

/// The objects of rows, each once.
fn objects(held: &[Held]) -> Vec<Object> {
    let mut objects: Vec<Object> = held.iter().filter_map(object).collect();
    objects.sort();
    objects.dedup();
    objects
}

fn object(held: &Held) -> Option<Object> {
    let id = held.object_id.clone()?;
    match held.object_kind.as_deref()? {
        "subscription" => Some(Object::Subscription(id)),
        "customer" => Some(Object::Customer(id)),
        "invoice" => Some(Object::Invoice(id)),
        "charge" => Some(Object::Charge(id)),
        "dispute" => Some(Object::Dispute(id)),
        "checkout" => Some(Object::Checkout(id)),
        _ => None,
    }
}

const fn kind(object: &Object) -> &'static str {
    match object {
        Object::Subscription(_) => "subscription",
        Object::Customer(_) => "customer",
        Object::Invoice(_) => "invoice",
        Object::Charge(_) => "charge",
        Object::Dispute(_) => "dispute",
        Object::Checkout(_) => "checkout",
    }
}
