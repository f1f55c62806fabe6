//! What an account has now and which subscriptions it pays for, read from Postgres: what the interface and the pages
//! show, and what decides whether more can be bought.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::{Addon, Cadence, Catalog, Price, Provider, Sold, Tier};
use entitlement::subscription::{State, Subscription, SubscriptionId, WayBack, Withheld};
use entitlement::timeline::Segment;

use crate::Billing;
use crate::publish::{compute, entitlement_of};
use crate::store::StoreError;
use crate::store::catalogs::Rules;
use crate::store::links::{self, Customer};
use crate::store::snapshot::{self, Snapshot};

mod ways;

pub use ways::{Ending, Obstacle};

/// An account's entitlement and subscriptions at one moment, and the catalog by which they are read.
#[derive(Clone, Debug)]
pub struct Standing {
    rules: Arc<Rules>,
    /// What holds now.
    pub segment: Segment,
    /// Everything that any provider has told of, over or not.
    pub subscriptions: Vec<Subscription>,
    /// Of those that give nothing although they are not over: why.
    pub withheld: BTreeMap<SubscriptionId, Withheld>,
    /// The same of each price of them, also where the rest of its subscription gives what it should.
    pub withheld_prices: BTreeMap<(SubscriptionId, String), Withheld>,
    /// Those whose customer is another account's.
    pub elsewhere: BTreeSet<SubscriptionId>,
    /// Whether the account has a customer of its own, and with it a portal.
    pub has_portal: bool,
}

/// A subscription that goes on, with what it buys.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    pub subscription: &'a Subscription,
    pub tier: &'a Tier,
    pub price: &'a Price,
}

/// What is sold now.
///
/// # Errors
/// When the database fails.
pub async fn sold(billing: &Billing) -> Result<Arc<Rules>, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    billing.rules(&mut conn).await
}

/// How long the database may take to say what is sold to a visitor of whom it holds nothing else.
const SOLD_WITHIN: Duration = Duration::from_millis(300);

/// The catalog that is sold now; while the database does not answer, the one that was sold when it last did.
///
/// # Errors
/// When it fails, and has never answered.
pub async fn sold_or_known(billing: &Billing) -> Result<Arc<Rules>, StoreError> {
    let known = billing.known_rules();
    if known.id.is_none() {
        return sold(billing).await;
    }
    Ok(tokio::time::timeout(SOLD_WITHIN, sold(billing)).await.ok().and_then(Result::ok).unwrap_or(known))
}

/// Reads what an account has, in one snapshot.
///
/// # Errors
/// When the database fails.
pub async fn of(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<Standing, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    let snapshot = snapshot::read_one(&mut conn, account).await?;
    let rules = billing.rules_of(&mut conn, snapshot.catalog).await?;
    let customers = links::customers_of(&mut conn, account).await?;
    drop(conn);
    Ok(Standing::read(account, snapshot, (rules, &customers), now))
}

impl Standing {
    /// The standing of an account at `now`, by its rows.
    #[must_use]
    pub fn read(
        account: &AccountId,
        snapshot: Snapshot,
        (rules, customers): (Arc<Rules>, &[Customer]),
        now: Timestamp,
    ) -> Self {
        // As it is cached: a change of sources alone is no change.
        let timeline = entitlement_of(account, &snapshot, &rules, now).timeline;
        let segment = timeline.at(now).clone();
        let withheld = snapshot.subscriptions.iter().filter_map(|subscription| {
            Some((subscription.id.clone(), compute::withheld(subscription, &snapshot, &rules, now)?))
        });
        let withheld = withheld.collect();
        let withheld_prices = snapshot.subscriptions.iter().flat_map(|subscription| {
            let prices = compute::withheld_prices(subscription, &snapshot, &rules, now).into_iter();
            prices.map(|(price, withheld)| ((subscription.id.clone(), price), withheld))
        });
        let withheld_prices = withheld_prices.collect();
        let is_own = |own: &&Subscription| {
            let provider = own.id.provider.as_str();
            customers.iter().any(|customer| customer.provider == provider && customer.customer_id == own.customer)
        };
        let elsewhere = snapshot.subscriptions.iter().filter(|own| !is_own(own)).map(|own| own.id.clone()).collect();
        let has_portal = customers.iter().any(|customer| customer.gone_at.is_none());
        let subscriptions = snapshot.with_gone_customers().subscriptions;
        Self { rules, segment, subscriptions, withheld, withheld_prices, elsewhere, has_portal }
    }

    /// What is sold.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.rules.catalog
    }

    /// Whether anything is granted at all.
    #[must_use]
    pub fn has_more_than_everybody(&self) -> bool {
        *self.segment.plan.tier != *self.catalog().base().code
    }

    /// The subscriptions to a tier that are not over at `now`, highest tier first, and of one tier the newest first.
    #[must_use]
    pub fn live(&self, now: Timestamp) -> Vec<Live<'_>> {
        let running = self.subscriptions.iter().filter(|subscription| is_running(subscription, now));
        let mut live: Vec<_> = running.filter_map(|subscription| bought(self.catalog(), subscription)).collect();
        live.sort_by_key(|live| std::cmp::Reverse((live.tier.rank, live.subscription.started_at)));
        live
    }

    /// Why a subscription gives nothing although it is not over.
    #[must_use]
    pub fn withheld(&self, id: &SubscriptionId) -> Option<Withheld> {
        self.withheld.get(id).copied()
    }

    /// Whether a subscription is to be bought again to give something: it does not stand in the way of another one.
    #[must_use]
    pub fn is_to_be_bought_again(&self, id: &SubscriptionId) -> bool {
        self.withheld(id).is_some_and(|withheld| withheld.way_back() == WayBack::BuyAgain)
    }

    /// The subscriptions to a tier that are not over at `now` and stand in the way of another one.
    #[must_use]
    pub fn held(&self, now: Timestamp) -> Vec<Live<'_>> {
        let live = self.live(now).into_iter();
        live.filter(|live| !self.is_to_be_bought_again(&live.subscription.id)).collect()
    }

    /// The newest subscription to a tier of which the first payment has not gone through, or whose customer its provider no longer
    /// knows. Neither runs, and each has its way back.
    #[must_use]
    pub fn unsettled(&self) -> Option<(&Subscription, Withheld)> {
        let reason = |subscription: &Subscription| {
            let withheld = self.withheld(&subscription.id)?;
            matches!(withheld, Withheld::Incomplete | Withheld::CustomerGone).then_some(withheld)
        };
        let bought = self.subscriptions.iter().filter(|subscription| bought(self.catalog(), subscription).is_some());
        let unsettled = bought.filter_map(|subscription| Some((subscription, reason(subscription)?)));
        unsettled.max_by_key(|(subscription, _)| subscription.started_at)
    }

    /// The subscriptions that are not over at `now` and of whose prices the catalog names none: their owner pays, and must be able
    /// to end that here.
    pub fn unnamed(&self, now: Timestamp) -> impl Iterator<Item = &Subscription> {
        let is_named = |subscription: &Subscription| {
            subscription.prices.iter().any(|id| self.catalog().sold(subscription.id.provider, id).is_some())
        };
        self.subscriptions.iter().filter(move |&subscription| is_running(subscription, now) && !is_named(subscription))
    }

    /// Whether a subscription that is not over at `now` may be to a tier that the catalog does not name any more: what it is for cannot
    /// be said, and it stands in the way of another one.
    #[must_use]
    pub fn may_hold_unnamed(&self, now: Timestamp) -> bool {
        let has_unnamed = |subscription: &Subscription| {
            subscription.prices.iter().any(|id| self.catalog().sold(subscription.id.provider, id).is_none())
        };
        self.subscriptions.iter().any(|subscription| {
            is_running(subscription, now)
                && has_unnamed(subscription)
                && bought(self.catalog(), subscription).is_none()
                && !self.is_to_be_bought_again(&subscription.id)
        })
    }

    /// The add-ons that subscriptions which are not over at `now` pay for, with the subscription.
    pub fn addons(&self, now: Timestamp) -> impl Iterator<Item = (&Addon, &Subscription)> {
        let running = self.subscriptions.iter().filter(move |subscription| is_running(subscription, now));
        running.flat_map(|subscription| {
            let sold = |id: &String| self.catalog().sold(subscription.id.provider, id);
            subscription.prices.iter().filter_map(sold).filter_map(move |sold| match sold {
                Sold::Addon(addon) => Some((addon, subscription)),
                Sold::Tier(_) => None,
            })
        })
    }

    /// The add-ons that the account has at `now`: those that are paid for, and whose money was not given back.
    pub fn held_addons(&self, now: Timestamp) -> impl Iterator<Item = (&Addon, &Subscription)> {
        let is_held = move |addon: &Addon, subscription: &Subscription| {
            let back: Vec<&str> = self.given_back(subscription).collect();
            let prices = addon.prices.iter().map(|price| &price.id);
            prices.filter(|id| subscription.prices.contains(id)).any(|id| !back.contains(&id.as_str()))
        };
        self.addons(now).filter(move |(addon, subscription)| is_held(addon, subscription))
    }

    /// Whether what a provider's price buys has taken effect at `now`.
    #[must_use]
    pub fn has_bought(&self, provider: Provider, price: &str, now: Timestamp) -> bool {
        match self.catalog().sold(provider, price) {
            Some(Sold::Addon(addon)) => self.has_addon(&addon.code, now),
            Some(Sold::Tier(_)) | None => self.has_more_than_everybody(),
        }
    }

    /// Whether the account has had no subscription to a tier that gave access: else a trial has been used, or was not
    /// wanted.
    #[must_use]
    pub fn is_new_buyer(&self) -> bool {
        let is_addon = |subscription: &Subscription| {
            let sold = |id: &String| self.catalog().sold(subscription.id.provider, id);
            subscription.prices.iter().all(|id| matches!(sold(id), Some(Sold::Addon(_))))
        };
        let gave_access = |subscription: &Subscription| match subscription.state {
            State::Incomplete => false,
            // A first payment that never went through ends where it began.
            State::Ended { at } => subscription.started_at < at,
            _ => true,
        };
        !self.subscriptions.iter().any(|subscription| gave_access(subscription) && !is_addon(subscription))
    }
}

/// What a subscription buys: the highest tier among its prices.
#[must_use]
pub fn bought<'a>(catalog: &'a Catalog, subscription: &'a Subscription) -> Option<Live<'a>> {
    let provider = subscription.id.provider;
    let tiers = subscription.prices.iter().filter_map(|id| match catalog.sold(provider, id)? {
        Sold::Tier(tier) => {
            let price = tier.prices.iter().find(|price| price.provider == provider && price.id == *id)?;
            Some(Live { subscription, tier, price })
        }
        Sold::Addon(_) => None,
    });
    tiers.max_by_key(|live| live.tier.rank)
}

/// The word of a cadence in the catalog and in orders.
#[must_use]
pub const fn cadence(cadence: Cadence) -> &'static str {
    match cadence {
        Cadence::Monthly => "monthly",
        Cadence::Annual => "annual",
    }
}

/// An unpaid or paused subscription still counts: its provider may charge for it again.
pub(crate) fn is_running(subscription: &Subscription, now: Timestamp) -> bool {
    let over = match subscription.state {
        State::Incomplete | State::Lapsed { .. } | State::WrittenOff { .. } | State::Ended { .. } => true,
        State::Trialing { .. }
        | State::Active { .. }
        | State::PastDue { .. }
        | State::Unpaid
        | State::Paused
        | State::Unknown => false,
    };
    !over && subscription.cancel_at.is_none_or(|end| now < end)
}

#[cfg(test)]
pub mod examples {
    //! Standings that are made up, for the tests of what shows them.

    use chrono::Duration;
    use entitlement::subscription::{Dues, Grace, Policy, Setback};
    use entitlement::timeline::{Grant, Source, timeline};

    use super::*;

    /// One tier as the reader site sells it.
    pub const CATALOG: &str = r#"
        [[tier]]
        code = "free"
        name = "Free"
        rank = 0
        [[tier]]
        code = "paid"
        name = "Paid"
        rank = 1
        features = ["archive"]
        limits = { api_calls = 10_000 }
        price = [
          { provider = "stripe", id = "price_monthly", cadence = "monthly", amount = 700, currency = "gbp", consent = "monthly-waiver-1" },
          { provider = "stripe", id = "price_annual", cadence = "annual", amount = 7000, currency = "gbp", trial_days = 14 },
          { provider = "polar", id = "product_annual", cadence = "annual", amount = 7000, currency = "gbp" },
        ]
        [[tier]]
        code = "enterprise"
        name = "Enterprise"
        rank = 2
        [[addon]]
        code = "domain"
        name = "Domain"
        price = [{ provider = "stripe", id = "price_domain", cadence = "annual", amount = 1500, currency = "gbp" }]
    "#;

    /// Midnight of that day of 2026.
    pub fn on(month: u32, day: u32) -> Timestamp {
        let date = chrono::NaiveDate::from_ymd_opt(2026, month, day).expect("a date");
        date.and_hms_opt(0, 0, 0).expect("a time").and_utc()
    }

    /// A Stripe subscription to that price, begun on 1 March 2026.
    pub fn subscription(price: &str, state: State) -> Subscription {
        Subscription {
            id: SubscriptionId { provider: Provider::Stripe, id: "sub_1".into() },
            customer: "cus_1".into(),
            prices: vec![price.into()],
            items: Vec::new(),
            started_at: on(3, 1),
            state,
            collection_paused: false,
            resumes_at: None,
            cancel_at: None,
            period_start: Some(on(3, 1)),
            first_due: None,
            as_of: on(3, 1),
            before: None,
        }
    }

    /// The standing of somebody with these subscriptions.
    pub fn standing(subscriptions: Vec<Subscription>, now: Timestamp) -> Standing {
        set_back(subscriptions, &[], now)
    }

    /// The same, with money for all of them that went back.
    pub fn set_back(subscriptions: Vec<Subscription>, setbacks: &[Setback], now: Timestamp) -> Standing {
        let catalog: Catalog = toml::from_str(CATALOG).expect("a catalog");
        let grace = Grace {
            past_due: Duration::days(14),
            renewal: Duration::days(3),
            trial: Duration::days(1),
            ..Grace::default()
        };
        let policy = Policy::default();
        let grant = |subscription: &Subscription| {
            let (access, bought) = (subscription.access(&grace, &policy, setbacks)?, bought(&catalog, subscription)?);
            let source = Source::Subscription(subscription.id.clone());
            Some(Grant {
                source,
                tier: bought.tier.code.clone(),
                status: access.status,
                from: access.from,
                until: access.until,
            })
        };
        let grants: Vec<Grant> = subscriptions.iter().filter_map(grant).collect();
        let segment = timeline(&catalog, &grants).at(now).clone();
        let reason = |subscription: &Subscription| {
            let item = subscription.all_items().into_iter().next()?;
            if catalog.sold(subscription.id.provider, &item.price).is_none() && !subscription.is_over(now) {
                return Some((subscription.id.clone(), Withheld::UnknownPrice));
            }
            let withheld = subscription.withheld(&item, &Dues::default(), (&grace, &policy), setbacks, now)?;
            Some((subscription.id.clone(), withheld))
        };
        let withheld: BTreeMap<_, _> = subscriptions.iter().filter_map(reason).collect();
        let of_prices = |(id, withheld): (&SubscriptionId, &Withheld)| {
            let own = subscriptions.iter().filter(|own| own.id == *id).flat_map(|own| own.prices.clone());
            own.map(|price| ((id.clone(), price), *withheld)).collect::<Vec<_>>()
        };
        let withheld_prices = withheld.iter().flat_map(of_prices).collect();
        let rules = Arc::new(Rules { id: Some(1), catalog, grace, policy });
        let elsewhere = BTreeSet::new();
        Standing { rules, segment, subscriptions, withheld, withheld_prices, elsewhere, has_portal: true }
    }
}

#[cfg(test)]
mod tests;
