//! What an account has, and the end of its subscription.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract;
use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::{AccountId, UserId};
use entitlement::assertion::Claims;
use entitlement::catalog::Provider;
use entitlement::subscription::{State, Subscription, SubscriptionId, WayBack, Withheld};
use http::StatusCode;
use serde::Serialize;

use super::request::OwnOrigin;
use super::signed_in::{Buyer, SignedIn};
use super::standing::{self, Standing, bought};
use crate::Billing;
use crate::checkout;
use crate::checkout::refused::refuse_blocked;
use crate::problem::Problem;
use crate::provider::client::Kept;
use crate::provider::sell;
use crate::store::subscriptions::state_name;

/// What an account has now.
#[derive(Debug, Serialize)]
pub struct Shown {
    account: AccountId,
    /// The user who acts for the account, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    /// Whether the user may buy, change and cancel for the account.
    buyer: bool,
    /// Whether a person has blocked the account: it then has nothing, whatever it pays for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    blocked: bool,
    tier: Arc<str>,
    status: &'static str,
    features: Arc<[Arc<str>]>,
    limits: BTreeMap<Arc<str>, u64>,
    levels: BTreeMap<Arc<str>, u64>,
    /// When this changes by itself.
    valid_until: Option<Timestamp>,
    /// Those that ended included.
    subscriptions: Vec<ShownSubscription>,
}

#[derive(Debug, Serialize)]
struct ShownSubscription {
    provider: Provider,
    id: String,
    /// None when the catalog no longer has what it buys.
    tier: Option<String>,
    cadence: Option<&'static str>,
    state: &'static str,
    started_at: Timestamp,
    trial_ends_at: Option<Timestamp>,
    /// Days of the trial that remain; one that has begun counts.
    trial_days_remaining: Option<i64>,
    /// The end of what is paid for, or of the trial.
    period_end: Option<Timestamp>,
    cancel_at: Option<Timestamp>,
    /// When collection goes on by itself, where it is paused.
    resumes_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// Why it gives nothing although it is not over.
    reason: Option<&'static str>,
    /// What brings access back then.
    way_back: Option<&'static str>,
}

/// What was asked of the provider; its webhook tells when it is so.
#[derive(Debug, Serialize)]
pub struct Asked {
    status: &'static str,
    /// When the subscription ends; absent when it goes on, or the provider did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
}

/// `GET /api/billing/subscription`
pub async fn show(
    extract::State(billing): extract::State<Billing>,
    SignedIn(claims): SignedIn,
) -> Result<Json<Shown>, Problem> {
    let now = crate::clock::now();
    let standing = standing::of(&billing, &claims.sub, now).await?;
    Ok(Json(shown(&claims, &standing, now)))
}

/// `POST /api/billing/cancel`
pub async fn cancel(
    extract::State(billing): extract::State<Billing>,
    Buyer(claims): Buyer,
    _: OwnOrigin,
) -> Result<Json<Asked>, Problem> {
    // A buyer who bought twice by accident and cancels does not expect to go on paying: a request that names none ends all of them.
    end(&billing, &claims.sub, None).await.map(Json)
}

/// Ends the subscriptions of an account with their periods: the one that is named as [`name_of`] does, else all, or none.
///
/// # Errors
/// 400 when there is nothing to end, 429 when that was asked for too often, 502 and 503 when a provider cannot be asked.
pub async fn end(billing: &Billing, account: &AccountId, named: Option<&str>) -> Result<Asked, Problem> {
    let is_meant = |id: &SubscriptionId| named.is_none_or(|named| named == name_of(id));
    let ending: Vec<SubscriptionId> = running(billing, account).await?.into_iter().filter(is_meant).collect();
    if ending.is_empty() {
        return Err(none_running());
    }
    for subscription in &ending {
        checkout::check_configured(billing, subscription.provider).await?;
    }
    billing.shared().asks.act(account)?;
    let providers = billing.providers();
    let mut ends_at = None;
    for subscription in &ending {
        ends_at = ends_at.max(sell::end_with_period(&providers, subscription).await?);
    }
    for subscription in ending.iter().rev() {
        checkout::observe(billing, subscription).await;
    }
    Ok(Asked { status: "scheduled", ends_at })
}

/// The name of a subscription in a form.
#[must_use]
pub fn name_of(id: &SubscriptionId) -> String {
    format!("{}:{}", id.provider, id.id)
}

/// `POST /api/billing/reactivate`
pub async fn reactivate(
    extract::State(billing): extract::State<Billing>,
    Buyer(claims): Buyer,
    _: OwnOrigin,
) -> Result<Json<Asked>, Problem> {
    checkout::check_any_configured(&billing)?;
    let now = crate::clock::now();
    let standing = standing::of(&billing, &claims.sub, now).await?;
    // One only, the highest tier: never more is charged than was asked for. A price that was given back is bought again, and not kept.
    let own = standing.to_go_on(now).ok_or_else(none_running)?;
    let (first, is_paused) = (own.id.clone(), standing.way_back(own, now) == Some(WayBack::Resume));
    checkout::check_configured(&billing, first.provider).await?;
    billing.shared().asks.act(&claims.sub)?;
    refuse_blocked(&standing)?;
    let kept = sell::keep(&billing.providers(), &first).await?;
    let kept = if is_paused { sell::resume(&billing.providers(), &first).await? } else { kept };
    checkout::observe(&billing, &first).await;
    match kept {
        Kept::Yes => Ok(Json(Asked { status: "active", ends_at: None })),
        Kept::WasNotEnding => {
            let detail = "The subscription is not scheduled to end.";
            Err(Problem::new(StatusCode::BAD_REQUEST, "not_canceling", detail))
        }
    }
}

/// The subscriptions that go on, but for those to add-ons: the one to the highest tier first. One whose price no catalog names is
/// paid for all the same.
async fn running(billing: &Billing, account: &AccountId) -> Result<Vec<SubscriptionId>, Problem> {
    checkout::check_any_configured(billing)?;
    let now = crate::clock::now();
    let standing = standing::of(billing, account, now).await?;
    let live = standing.live(now).into_iter().map(|live| live.subscription);
    Ok(live.chain(standing.unnamed(now)).map(|subscription| subscription.id.clone()).collect())
}

fn none_running() -> Problem {
    let detail = "There is no subscription that could be ended or kept.";
    Problem::new(StatusCode::BAD_REQUEST, "no_active_subscription", detail)
}

fn shown(claims: &Claims, standing: &Standing, now: Timestamp) -> Shown {
    let segment = &standing.segment;
    Shown {
        account: claims.sub.clone(),
        user: claims.user().cloned(),
        buyer: claims.buyer,
        blocked: segment.plan.is_blocked(),
        tier: Arc::clone(&segment.plan.tier),
        status: segment.status.as_str(),
        features: Arc::clone(&segment.plan.features),
        limits: segment.plan.limits.clone(),
        levels: segment.plan.levels.clone(),
        valid_until: segment.until,
        subscriptions: standing.subscriptions.iter().map(|s| shown_subscription(standing, s, now)).collect(),
    }
}

fn shown_subscription(standing: &Standing, subscription: &Subscription, now: Timestamp) -> ShownSubscription {
    let bought = bought(standing.catalog(), subscription);
    let withheld = standing.withheld(&subscription.id);
    let (trial_ends_at, period_end, ended_at) = match subscription.state {
        State::Trialing { ends_at } => (Some(ends_at), Some(ends_at), None),
        State::Active { paid_until } => {
            let until = |whole| bought.map_or(whole, |live| subscription.price_paid_until(&live.price.id, whole));
            (None, paid_until.map(until), None)
        }
        State::Lapsed { at } | State::WrittenOff { at } | State::Ended { at } => (None, None, Some(at)),
        State::Incomplete | State::PastDue { .. } | State::Unpaid | State::Paused | State::Unknown => {
            (None, None, None)
        }
    };
    ShownSubscription {
        provider: subscription.id.provider,
        id: subscription.id.id.clone(),
        tier: bought.map(|live| live.tier.code.clone()),
        cadence: bought.map(|live| standing::cadence(live.price.cadence)),
        state: state_name(subscription.state),
        started_at: subscription.started_at,
        trial_ends_at,
        trial_days_remaining: trial_ends_at.map(|end| whole_days(end - now)),
        period_end,
        cancel_at: subscription.cancel_at,
        resumes_at: subscription.resumes_at,
        ended_at,
        reason: withheld.map(Withheld::as_str),
        way_back: standing.way_back(subscription, now).map(WayBack::as_str),
    }
}

/// A day that has begun counts.
fn whole_days(left: TimeDelta) -> i64 {
    let seconds = left.num_seconds().max(0);
    seconds / 86_400 + i64::from(seconds % 86_400 > 0)
}
