//! From a credential and a rule to a verdict: looks up what the account has, and asks the pure decision.

use std::sync::Arc;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::authorize::{Basis, Caller, Denial, Permit, Policy, authorize};
use entitlement::record::Entitlement;

use crate::clock::Moment;
use crate::headers::Degraded;
use crate::identity::{Credential, Principal};
use crate::ladder::{Found, Freshness, Ladder, Layer};
use crate::view::{View, ViewError, Views};

/// Decides on requests.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) ladder: Arc<Ladder>,
    pub(crate) views: Views,
}

/// The verdict on one request, and what it rests on.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Result<Permit, Denial>,
    /// What the application is told; nothing of a caller without a valid token.
    pub(crate) view: Option<Arc<View>>,
    pub(crate) degraded: Option<Degraded>,
    pub(crate) principal: Option<Principal>,
    /// The layer that answered, and the age of its record in milliseconds.
    pub(crate) layer: Option<(Layer, u64)>,
}

impl Admission {
    /// Decides on a request at `now`. When the account's record is fresh in this process, it neither waits nor allocates.
    ///
    /// # Errors
    /// When the identity headers cannot be made.
    pub(crate) async fn decide(
        &self,
        policy: &Policy,
        credential: Credential,
        now: Moment,
    ) -> Result<Decision, ViewError> {
        let caller = match credential {
            Credential::Account(principal) => {
                let (verdict, found) = self.settle(policy, &principal.account, now).await;
                return self.told(verdict, principal, found, now);
            }
            Credential::Missing => Caller::Anonymous,
            Credential::Rejected => Caller::Rejected,
            Credential::Ambiguous => Caller::Ambiguous,
            Credential::Unverified => Caller::Unverified,
        };
        let verdict = authorize(caller, policy, now.time);
        let is_fallback = verdict.is_ok() && matches!(caller, Caller::Unverified);
        let degraded = is_fallback.then_some(Degraded::Fallback);
        Ok(Decision { verdict, view: None, degraded, principal: None, layer: None })
    }

    /// The decision on a request that its route lets in: it is of no account.
    pub(crate) fn let_in(policy: &Policy, now: Moment) -> Decision {
        let verdict = authorize(Caller::LetIn, policy, now.time);
        Decision { verdict, view: None, degraded: None, principal: None, layer: None }
    }

    /// Whether an account that was let in may go on at `now`, and when that changes by itself.
    pub(crate) async fn standing(
        &self,
        policy: &Policy,
        account: &AccountId,
        now: Moment,
    ) -> (Result<Permit, Denial>, Option<Timestamp>) {
        let (verdict, found) = self.settle(policy, account, now).await;
        (verdict, found.and_then(|found| found.entry.record().timeline.at(now.time).until))
    }

    /// The verdict on a known account, and the record that it rests on.
    async fn settle(
        &self,
        policy: &Policy,
        account: &AccountId,
        now: Moment,
    ) -> (Result<Permit, Denial>, Option<Found>) {
        let mut found = match self.ladder.peek(account, now) {
            Some(found) => Some(found),
            None => Box::pin(self.ladder.find(account, now)).await.ok(),
        };
        let mut verdict = authorize(caller(found.as_ref()), policy, now.time);
        if let (Err(Denial::Pay { .. } | Denial::Forbidden { .. } | Denial::Blocked), Some(denied)) = (&verdict, &found)
        {
            // "Pay first" is never said from a record that may be outdated.
            found = match denied.freshness {
                // Without its record, a blocked account would pass where signing in is enough.
                Freshness::Stale if verdict == Err(Denial::Blocked) => return (verdict, found),
                Freshness::Stale => None,
                Freshness::Fresh => {
                    let is_enough = |record: &Entitlement| authorize(Caller::Known(record), policy, now.time).is_ok();
                    let newest = Box::pin(self.ladder.recheck(denied, now, is_enough)).await;
                    Some(newest.unwrap_or(denied.clone()))
                }
            };
            verdict = authorize(caller(found.as_ref()), policy, now.time);
        }
        (verdict, found)
    }

    /// Adds to a verdict what the application is told.
    fn told(
        &self,
        verdict: Result<Permit, Denial>,
        principal: Principal,
        found: Option<Found>,
        now: Moment,
    ) -> Result<Decision, ViewError> {
        let layer = found.as_ref().map(|found| (found.layer, found.age_ms));
        let (view, degraded) = match (&verdict, &found) {
            (Err(_), _) => (None, None),
            (Ok(_), None) => (Some(self.views.of_unresolved(&principal, now.time)?), Some(Degraded::Fallback)),
            (Ok(_), Some(found)) => {
                let segment = found.entry.record().timeline.at(now.time);
                let degraded = (found.freshness == Freshness::Stale).then_some(Degraded::Stale);
                (Some(self.views.of(&principal, segment, now.time)?), degraded)
            }
        };
        Ok(Decision { verdict, view, degraded, principal: Some(principal), layer })
    }
}

fn caller(found: Option<&Found>) -> Caller<'_> {
    found.map_or(Caller::Unresolved, |found| Caller::Known(found.entry.record()))
}

/// The word for why a request may pass, in logs and metrics.
pub(crate) const fn reason(permit: &Permit, degraded: Option<Degraded>) -> &'static str {
    match (permit.basis(), degraded) {
        (Basis::Shadow(denial), _) => denial.code(),
        (Basis::LetIn, _) => "let_in",
        (Basis::Met | Basis::Fallback, Some(degraded)) => degraded.as_str(),
        (Basis::Met | Basis::Fallback, None) => "met",
    }
}
