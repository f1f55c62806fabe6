//! Actions of an account on its subscriptions: the one rule by which pages, interface and `explain` speak, and by which they are done.

use entitlement::Timestamp;
use entitlement::catalog::Sold;
use entitlement::subscription::{Subscription, SubscriptionId, WayBack, Withheld};

use super::{Live, Standing};

/// An obstacle to a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle<'a> {
    /// A person has blocked the account.
    Blocked,
    /// A subscription is paused, and can go on.
    Paused,
    /// A payment for it is missing.
    PaymentMissing(&'a Subscription),
    /// It is had already; none where what is had cannot be said.
    Held(Option<&'a Subscription>),
}

/// The part of a subscription that ends before it is bought again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<'a> {
    Whole,
    /// The rest of it gives something, or may.
    Prices(Vec<&'a str>),
}

impl Standing {
    /// The obstacle to buying a tier, or an add-on, at `now`.
    #[must_use]
    pub fn obstacle(&self, item: Sold<'_>, now: Timestamp) -> Option<Obstacle<'_>> {
        if self.segment.plan.is_blocked() {
            return Some(Obstacle::Blocked);
        }
        match item {
            Sold::Tier(_) => self.obstacle_to_tier(now),
            Sold::Addon(addon) => self.addon(&addon.code, now).map(|own| Obstacle::Held(Some(own))),
        }
    }

    /// The subscription whose first payment is still open: nothing is sold beside it, as both could be paid, unless it is of the checkout
    /// that the buyer is led on to.
    #[must_use]
    pub fn unpaid(&self) -> Option<&Subscription> {
        let (own, withheld) = self.unsettled()?;
        (withheld == Withheld::Incomplete).then_some(own)
    }

    fn obstacle_to_tier(&self, now: Timestamp) -> Option<Obstacle<'_>> {
        let held = self.held(now);
        let Some(Live { subscription, .. }) = held.first() else {
            return self.may_hold_unnamed(now).then_some(Obstacle::Held(None));
        };
        Some(match self.withheld(&subscription.id).map(Withheld::way_back) {
            Some(WayBack::Resume) => Obstacle::Paused,
            Some(WayBack::UpdateCard | WayBack::PayInvoice) => Obstacle::PaymentMissing(subscription),
            Some(WayBack::BuyAgain | WayBack::Wait) | None => Obstacle::Held(Some(subscription)),
        })
    }

    /// The step that brings the access of a subscription back, as far as this account can take it: an obstacle to buying it again, and
    /// a customer that is another account's, leave nothing to do but to wait.
    #[must_use]
    pub fn way_back(&self, subscription: &Subscription, now: Timestamp) -> Option<WayBack> {
        let way_back = self.withheld(&subscription.id)?.way_back();
        Some(self.open_way(subscription, self.item(subscription), way_back, now))
    }

    /// The same for one price of a subscription, whatever the others give.
    #[must_use]
    pub fn way_back_of_price(&self, subscription: &Subscription, price: &str, now: Timestamp) -> Option<WayBack> {
        let way_back = self.withheld_price(&subscription.id, price)?.way_back();
        let item = self.catalog().sold(subscription.id.provider, price);
        Some(self.open_way(subscription, item, way_back, now))
    }

    fn open_way(
        &self,
        subscription: &Subscription,
        item: Option<Sold<'_>>,
        way_back: WayBack,
        now: Timestamp,
    ) -> WayBack {
        let is_open = match way_back {
            WayBack::BuyAgain => self.unpaid().is_none() && item.is_some_and(|item| self.obstacle(item, now).is_none()),
            WayBack::UpdateCard | WayBack::PayInvoice => !self.is_elsewhere(&subscription.id),
            WayBack::Resume => !self.segment.plan.is_blocked(),
            WayBack::Wait => true,
        };
        if is_open { way_back } else { WayBack::Wait }
    }

    /// Why one price of a subscription gives nothing although that is not over.
    #[must_use]
    pub fn withheld_price(&self, id: &SubscriptionId, price: &str) -> Option<Withheld> {
        self.withheld_prices.get(&(id.clone(), price.to_owned())).copied()
    }

    /// The prices of a subscription that are to be bought again to give something.
    pub fn given_back<'a>(&'a self, own: &'a Subscription) -> impl Iterator<Item = &'a str> {
        own.prices.iter().map(String::as_str).filter(move |price| {
            self.withheld_price(&own.id, price).is_some_and(|withheld| withheld.way_back() == WayBack::BuyAgain)
        })
    }

    /// The part of a running subscription that has to be bought again.
    #[must_use]
    pub fn ending<'a>(&'a self, own: &'a Subscription) -> Option<Ending<'a>> {
        let back: Vec<&str> = self.given_back(own).collect();
        let is_sold = |price: &&String| self.catalog().sold(own.id.provider, price).is_some();
        let is_whole = own.prices.iter().filter(is_sold).all(|price| back.contains(&price.as_str()));
        if is_whole {
            return self.is_to_be_bought_again(&own.id).then_some(Ending::Whole);
        }
        (!back.is_empty()).then_some(Ending::Prices(back))
    }

    /// The item that a subscription buys: a tier before an add-on.
    fn item(&self, subscription: &Subscription) -> Option<Sold<'_>> {
        let sold = || subscription.prices.iter().filter_map(|id| self.catalog().sold(subscription.id.provider, id));
        sold().find(|sold| matches!(sold, Sold::Tier(_))).or_else(|| sold().next())
    }

    /// Whether the customer that pays for a subscription is another account's: its portal shows everything of theirs.
    #[must_use]
    pub fn is_elsewhere(&self, id: &SubscriptionId) -> bool {
        self.elsewhere.contains(id)
    }

    /// The subscription of which the end is taken back at `now`: the first that gives something, where nothing of its tier goes on.
    #[must_use]
    pub fn to_keep(&self, now: Timestamp) -> Option<&Subscription> {
        let held = self.held(now);
        let top = held.first().map(|live| live.tier.rank);
        let of_top = held.into_iter().filter(|live| Some(live.tier.rank) == top).map(|live| live.subscription);
        let own: Vec<&Subscription> = if top.is_some() { of_top.collect() } else { self.unnamed(now).collect() };
        let is_ending = own.iter().all(|subscription| subscription.cancel_at.is_some());
        own.into_iter().next().filter(|_| is_ending && !self.segment.plan.is_blocked())
    }

    /// The subscription that goes on at `now` when that is asked for: one that is paused, else the one whose end is taken back, else
    /// the first that gives something, as its provider may know of an end that is not known here.
    #[must_use]
    pub fn to_go_on(&self, now: Timestamp) -> Option<&Subscription> {
        let held = self.held(now);
        let is_paused = |live: &&Live<'_>| self.way_back(live.subscription, now) == Some(WayBack::Resume);
        let paused = held.iter().find(is_paused).map(|live| live.subscription);
        let first = || held.first().map(|live| live.subscription).or_else(|| self.unnamed(now).next());
        paused.or_else(|| self.to_keep(now)).or_else(first)
    }

    fn addon(&self, code: &str, now: Timestamp) -> Option<&Subscription> {
        self.held_addons(now).find(|(addon, _)| addon.code == code).map(|(_, own)| own)
    }

    /// Whether an add-on stands in the way of another one of its kind at `now`.
    #[must_use]
    pub fn has_addon(&self, code: &str, now: Timestamp) -> bool {
        self.addon(code, now).is_some()
    }

    /// The running subscriptions that another account's customer pays for.
    #[must_use]
    pub fn has_any_elsewhere(&self, now: Timestamp) -> bool {
        let live = self.live(now).into_iter().map(|live| live.subscription).chain(self.unnamed(now));
        live.chain(self.unsettled().map(|(own, _)| own)).any(|own| self.is_elsewhere(&own.id))
    }
}
