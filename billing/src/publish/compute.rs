//! An entitlement is a pure function of rows and time: nothing here asks anybody.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::{Sold, Tier};
use entitlement::payment::{Bill, Invoice, Part, Period, Returned};
use entitlement::record::Entitlement;
use entitlement::subscription::{Access, Dues, Item, Setback, State, Subscription, WayBack, Withheld};
use entitlement::timeline::{Grant, Source, Status, Timeline, timeline};

use crate::credits;
use crate::store::catalogs::Rules;
use crate::store::credits::Credit;
use crate::store::money::Money;
use crate::store::snapshot::{Gone, Snapshot};

/// How far the clocks of those who read a record may be from ours, and ours from the provider's, in minutes: what is over by time
/// alone stays in it for so long, and what begins soon has begun.
const APART_MINUTES: i64 = 10;

/// What an account has, as it is cached at `now`.
#[must_use]
pub fn entitlement_of(account: &AccountId, snapshot: &Snapshot, rules: &Rules, now: Timestamp) -> Entitlement {
    if snapshot.blocked_at.is_some() {
        let timeline = Timeline::blocked(&rules.catalog);
        return Entitlement { account: account.clone(), version: snapshot.version, timeline };
    }
    let apart = TimeDelta::minutes(APART_MINUTES);
    let (mut grants, over) = (grants(snapshot, rules), over(snapshot, rules));
    let is_past = |grant: &Grant| grant.until.is_some_and(|until| until <= now + apart);
    grants.retain(|grant| !(over.contains(&grant.source) && is_past(grant)));
    let timeline = timeline(&rules.catalog, &grants).begun(now, apart).cacheable(now - apart);
    Entitlement { account: account.clone(), version: snapshot.version, timeline }
}

/// The accounts that have less at `now` by the rows `after` than by those `before`. One that had what everybody has loses nothing: the limits
/// of what it buys may be lower than none.
#[must_use]
pub fn losing(
    accounts: &[AccountId],
    (before, after): (&[Snapshot], &[Snapshot]),
    rules: &Rules,
    now: Timestamp,
) -> Vec<AccountId> {
    let has = |account: &AccountId, snapshot: &Snapshot| {
        entitlement_of(account, snapshot, rules, now).timeline.at(now).plan.clone()
    };
    let pairs = accounts.iter().zip(before.iter().zip(after));
    let everybody = timeline(&rules.catalog, &[]).at(now).plan.clone();
    let losing = pairs.filter(|(account, (before, after))| {
        let before = has(account, before);
        before != everybody && !has(account, after).gives_as_much_as(&before)
    });
    losing.map(|(account, _)| account.clone()).collect()
}

/// What is over because somebody said so, not because a moment has come. It is over by every clock: whoever reads the record with
/// one that is behind must not wait for a moment that has passed.
fn over(snapshot: &Snapshot, rules: &Rules) -> BTreeSet<Source> {
    let ended = snapshot.subscriptions.iter().filter(|subscription| is_over(subscription, snapshot, rules));
    let ended = ended.map(|subscription| Source::Subscription(subscription.id.clone()));
    let revoked = snapshot.credits.iter().filter(|credit| credit.revoked_at.is_some());
    ended.chain(revoked.map(|credit| Source::Credit(credit.id))).collect()
}

/// Whether its provider told of an end, or of money that went back: such a moment is never later than that in which it was told.
fn is_over(subscription: &Subscription, snapshot: &Snapshot, rules: &Rules) -> bool {
    let is_set_back = |item: &Item| {
        let dues = Dues::of(subscription, item, &bills(subscription, snapshot));
        let access =
            |setbacks: &[Setback]| subscription.access_to(item, &dues, (&rules.grace, &rules.policy), setbacks);
        access(&setbacks(subscription, item, snapshot, rules)) != access(&[])
    };
    matches!(subscription.state, State::Lapsed { .. } | State::WrittenOff { .. } | State::Ended { .. })
        || subscription.all_items().iter().any(is_set_back)
}

/// Every reason for which an account holds a tier, past ones included.
#[must_use]
pub fn grants(snapshot: &Snapshot, rules: &Rules) -> Vec<Grant> {
    let subscribed = snapshot.subscriptions.iter().flat_map(|subscription| grants_of(subscription, snapshot, rules));
    let grants = subscribed.chain(snapshot.credits.iter().filter_map(of_credit)).collect();
    credits::with_days(grants, snapshot, rules)
}

/// What a subscription of the account gives: a grant for each of its items that buys a tier. A price that no catalog names grants
/// nothing.
#[must_use]
pub fn grants_of(subscription: &Subscription, snapshot: &Snapshot, rules: &Rules) -> Vec<Grant> {
    let bills = bills(subscription, snapshot);
    let grants = subscription.all_items().into_iter().filter_map(|item| {
        let dues = Dues::of(subscription, &item, &bills);
        let setbacks = setbacks(subscription, &item, snapshot, rules);
        let access = subscription.access_to(&item, &dues, (&rules.grace, &rules.policy), &setbacks)?;
        let tier = paid_tier(subscription, &item, &dues, rules)?;
        Some(grant(subscription, tier, access))
    });
    grants.collect()
}

/// The tier of an item. While a payment is missing it is the one that was last paid for, when that is a lower one: an upgrade whose
/// payment failed gives nothing yet.
fn paid_tier<'a>(subscription: &Subscription, item: &Item, dues: &Dues, rules: &'a Rules) -> Option<&'a Tier> {
    let tier_of = |price: &str| match rules.catalog.sold(subscription.id.provider, price)? {
        Sold::Tier(tier) => Some(tier),
        Sold::Addon(_) => None,
    };
    let named = tier_of(&item.price)?;
    let is_missing = matches!(subscription.state, State::PastDue { .. });
    let paid = dues.price.as_deref().filter(|_| is_missing).and_then(tier_of);
    Some(paid.filter(|paid| paid.rank < named.rank).unwrap_or(named))
}

/// The access that a subscription of the account gives after everything that was taken back, by the item that gives it longest.
#[must_use]
pub fn access(subscription: &Subscription, snapshot: &Snapshot, rules: &Rules) -> Option<Access> {
    let bills = bills(subscription, snapshot);
    let items = subscription.all_items();
    let access = items.iter().filter_map(|item| {
        let dues = Dues::of(subscription, item, &bills);
        let setbacks = setbacks(subscription, item, snapshot, rules);
        subscription.access_to(item, &dues, (&rules.grace, &rules.policy), &setbacks)
    });
    access.max_by_key(|access| access.until.unwrap_or(Timestamp::MAX_UTC))
}

/// Why a subscription of the account gives nothing at `now`; `None` when it does, or is over. Where it has a tier, add-ons beside that do
/// not count.
#[must_use]
pub fn withheld(subscription: &Subscription, snapshot: &Snapshot, rules: &Rules, now: Timestamp) -> Option<Withheld> {
    let items = withheld_items(subscription, snapshot, rules, now);
    if items.is_empty() && !subscription.is_over(now) {
        let is_gone = gone(subscription, snapshot).next().is_some();
        return Some(if is_gone { Withheld::CustomerGone } else { Withheld::UnknownPrice });
    }
    let is_tier =
        |item: &Item| matches!(rules.catalog.sold(subscription.id.provider, &item.price), Some(Sold::Tier(_)));
    let has_tier = items.iter().any(|(item, _)| is_tier(item));
    let told = items.into_iter().filter(|(item, _)| !has_tier || is_tier(item));
    told.map(|(_, withheld)| withheld).collect::<Option<Vec<Withheld>>>()?.into_iter().min()
}

/// The prices of a subscription that give nothing, each with the reason, whatever the others give.
#[must_use]
pub fn withheld_prices(
    subscription: &Subscription,
    snapshot: &Snapshot,
    rules: &Rules,
    now: Timestamp,
) -> Vec<(String, Withheld)> {
    let items = withheld_items(subscription, snapshot, rules, now).into_iter();
    items.filter_map(|(item, withheld)| Some((item.price, withheld?))).collect()
}

/// The prices of a subscription that have to be bought again to give something, whatever the others give.
#[must_use]
pub fn to_be_bought_again(
    subscription: &Subscription,
    snapshot: &Snapshot,
    rules: &Rules,
    now: Timestamp,
) -> Vec<String> {
    let prices = withheld_prices(subscription, snapshot, rules, now).into_iter();
    prices.filter(|(_, withheld)| withheld.way_back() == WayBack::BuyAgain).map(|(price, _)| price).collect()
}

/// Each thing of a subscription that is sold here, and why it gives nothing.
fn withheld_items(
    subscription: &Subscription,
    snapshot: &Snapshot,
    rules: &Rules,
    now: Timestamp,
) -> Vec<(Item, Option<Withheld>)> {
    let bills = bills(subscription, snapshot);
    let is_sold = |item: &Item| rules.catalog.sold(subscription.id.provider, &item.price).is_some();
    let items = subscription.all_items().into_iter().filter(is_sold);
    let reason = |item: &Item| {
        let dues = Dues::of(subscription, item, &bills);
        let setbacks = setbacks(subscription, item, snapshot, rules);
        subscription.withheld(item, &dues, (&rules.grace, &rules.policy), &setbacks, now)
    };
    items.map(|item| (item.clone(), reason(&item))).collect()
}

fn bills(subscription: &Subscription, snapshot: &Snapshot) -> Vec<Invoice> {
    let provider = subscription.id.provider.as_str();
    snapshot.bills.iter().filter(|bill| bill.provider == provider).map(|bill| bill.invoice.clone()).collect()
}

/// Everything that takes access to an item from a subscription although its state would give it.
fn setbacks(subscription: &Subscription, item: &Item, snapshot: &Snapshot, rules: &Rules) -> Vec<Setback> {
    setbacks_by_bills(subscription, item, snapshot, rules).into_iter().chain(gone(subscription, snapshot)).collect()
}

/// That the provider no longer has its customer.
fn gone(subscription: &Subscription, snapshot: &Snapshot) -> impl Iterator<Item = Setback> {
    let provider = subscription.id.provider.as_str();
    let is_owner = move |gone: &&Gone| gone.provider == provider && gone.customer_id == subscription.customer;
    snapshot.gone.iter().filter(is_owner).map(|gone| Setback::CustomerGone { at: gone.gone_at })
}

/// What went back of the bills for a subscription, held against what each took in. Money of which nothing proves what it paid for
/// takes nothing.
fn setbacks_by_bills(subscription: &Subscription, item: &Item, snapshot: &Snapshot, rules: &Rules) -> Vec<Setback> {
    let provider = subscription.id.provider;
    let is_ours = |of: &str, invoice: &Invoice| of == provider.as_str() && invoice.subscription == subscription.id.id;
    let known = snapshot.bills.iter().filter(|bill| is_ours(&bill.provider, &bill.invoice));
    let mut bills: BTreeMap<&str, (&Invoice, Vec<Part<'_>>)> =
        known.map(|bill| (bill.invoice.id.as_str(), (&bill.invoice, Vec::new()))).collect();
    for Money { provider, payment, invoice, refunds, disputes } in &snapshot.returned {
        let Some(invoice) = invoice.as_ref().filter(|invoice| is_ours(provider, invoice)) else { continue };
        bills.entry(&invoice.id).or_insert((invoice, Vec::new())).1.push(Part { payment, refunds, disputes });
    }
    let (items, since) = (subscription.all_items(), subscription.period_of(item));
    let sold = |price: &str| rules.catalog.sold(provider, price);
    let is_alike = |price: &str| {
        matches!(
            (sold(price), sold(&item.price)),
            (Some(Sold::Tier(_)), Some(Sold::Tier(_))) | (Some(Sold::Addon(_)), Some(Sold::Addon(_)))
        )
    };
    let bills = bills.values().map(|(invoice, parts)| {
        // A bill that is for the period as a whole is for it whatever else it is for.
        let covers_from = since.map_or(invoice.covers_from, |since| since.max(invoice.covers_from));
        let currency = invoice.currency.as_deref();
        let returned = Returned { parts, took_in: invoice.took_in(), currency, covers_from };
        Bill { invoice, returned: (!parts.is_empty()).then_some(returned) }
    });
    let bills: Vec<Bill<'_>> = bills.collect();
    let period = Period { item, items: &items, since };
    let (loss, written_off) = (period.loss(&bills, is_alike), period.written_off(&bills, is_alike));
    let held = bills.iter().filter_map(|bill| bill.returned.as_ref()).flat_map(Returned::held);
    held.chain(loss).chain(written_off).collect()
}

/// What a subscription would give if its access were this one.
pub(crate) fn of_access(subscription: &Subscription, access: Access, rules: &Rules) -> Vec<Grant> {
    let items = subscription.all_items();
    let tiers = items.iter().filter_map(|item| paid_tier(subscription, item, &Dues::default(), rules));
    tiers.map(|tier| grant(subscription, tier, access)).collect()
}

fn grant(subscription: &Subscription, tier: &Tier, access: Access) -> Grant {
    Grant {
        source: Source::Subscription(subscription.id.clone()),
        tier: tier.code.clone(),
        status: access.status,
        from: access.from,
        until: access.until,
    }
}

fn of_credit(credit: &Credit) -> Option<Grant> {
    if credit.days.is_some() {
        return None;
    }
    let until = credit.until();
    let grant = Grant {
        source: Source::Credit(credit.id),
        tier: credit.tier.clone(),
        status: Status::Credit,
        from: credit.starts_at,
        until,
    };
    until.is_none_or(|until| credit.starts_at < until).then_some(grant)
}
