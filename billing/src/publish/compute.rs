//! An entitlement is a pure function of rows and time: nothing here asks anybody.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Sold;
use entitlement::payment::Returned;
use entitlement::record::Entitlement;
use entitlement::subscription::{Access, Setback, State, Subscription};
use entitlement::timeline::{Grant, Source, Status, timeline};

use crate::credits;
use crate::store::catalogs::Rules;
use crate::store::credits::Credit;
use crate::store::money::Money;
use crate::store::snapshot::Snapshot;

/// How far the clocks of those who read a record may be from ours, and ours from the provider's, in minutes: what is over by time
/// alone stays in it for so long, and what begins soon has begun.
const APART_MINUTES: i64 = 10;

/// What an account has, as it is cached at `now`.
#[must_use]
pub fn entitlement_of(account: &AccountId, snapshot: &Snapshot, rules: &Rules, now: Timestamp) -> Entitlement {
    let apart = TimeDelta::minutes(APART_MINUTES);
    let (mut grants, over) = (grants(snapshot, rules), over(snapshot, rules));
    let is_past = |grant: &Grant| grant.until.is_some_and(|until| until <= now + apart);
    grants.retain(|grant| !(over.contains(&grant.source) && is_past(grant)));
    let timeline = timeline(&rules.catalog, &grants).begun(now, apart).cacheable(now - apart);
    Entitlement { account: account.clone(), version: snapshot.version, timeline }
}

/// The accounts that have less at `now` by the rows `after` than by those `before`.
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
    let losing =
        pairs.filter(|(account, (before, after))| !has(account, after).gives_as_much_as(&has(account, before)));
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
    let access = |setbacks: &[Setback]| subscription.access(&rules.grace, &rules.policy, setbacks);
    matches!(subscription.state, State::Lapsed { .. } | State::Ended { .. })
        || access(&setbacks(subscription, snapshot, rules)) != access(&[])
}

/// Every reason for which an account holds a tier, past ones included.
#[must_use]
pub fn grants(snapshot: &Snapshot, rules: &Rules) -> Vec<Grant> {
    let subscribed = snapshot.subscriptions.iter().flat_map(|subscription| {
        let access = access(subscription, snapshot, rules);
        access.into_iter().flat_map(move |access| of_access(subscription, access, rules))
    });
    let grants = subscribed.chain(snapshot.credits.iter().filter_map(of_credit)).collect();
    credits::with_days(grants, snapshot, rules)
}

/// The access that a subscription of the account gives, after everything that was taken back.
#[must_use]
pub fn access(subscription: &Subscription, snapshot: &Snapshot, rules: &Rules) -> Option<Access> {
    subscription.access(&rules.grace, &rules.policy, &setbacks(subscription, snapshot, rules))
}

/// Everything that takes access from a subscription although its state would give it.
fn setbacks(subscription: &Subscription, snapshot: &Snapshot, rules: &Rules) -> Vec<Setback> {
    let returned = snapshot.returned.iter().flat_map(|money| setbacks_by(subscription, money, rules));
    let provider = subscription.id.provider.as_str();
    let is_owner = |provider_of: &str, customer: &str| provider_of == provider && *customer == subscription.customer;
    let gone = snapshot.gone.iter().filter(|gone| is_owner(&gone.provider, &gone.customer_id));
    let gone = gone.map(|gone| Setback::CustomerGone { at: gone.gone_at });
    returned.chain(gone).collect()
}

/// What a payment does to a subscription: something when it paid for it.
fn setbacks_by(subscription: &Subscription, money: &Money, rules: &Rules) -> Vec<Setback> {
    if money.provider != subscription.id.provider.as_str() {
        return Vec::new();
    }
    let (covers_from, is_whole) = match &money.invoice {
        Some(invoice) if invoice.subscription == subscription.id.id => (invoice.covers_from, invoice.renews),
        Some(_) => return Vec::new(),
        // Nobody told what it paid for: the same customer and the very price are taken for proof.
        None => match money.payment.made_at {
            Some(made_at) if is_for(subscription, money, rules) => (made_at, true),
            _ => return Vec::new(),
        },
    };
    let Money { payment, refunds, disputes, .. } = money;
    let setbacks = Returned { payment, refunds, disputes, covers_from }.setbacks();
    // A bill for a change within a period is not the period: what it paid for is not known.
    setbacks.into_iter().filter(|setback| is_whole || matches!(setback, Setback::Disputed { .. })).collect()
}

fn is_for(subscription: &Subscription, money: &Money, rules: &Rules) -> bool {
    let provider = subscription.id.provider;
    let is_price = |id: &String| {
        let price = rules.catalog.price(provider, id);
        price.is_some_and(|price| price.amount == money.payment.amount)
    };
    money.payment.customer.as_ref() == Some(&subscription.customer) && subscription.prices.iter().any(is_price)
}

/// One grant for each price that buys a tier: a price that no catalog names grants nothing.
pub(crate) fn of_access<'a>(
    subscription: &'a Subscription,
    access: Access,
    rules: &'a Rules,
) -> impl Iterator<Item = Grant> + 'a {
    let sold = subscription.prices.iter().filter_map(|price| rules.catalog.sold(subscription.id.provider, price));
    let tiers = sold.filter_map(|sold| match sold {
        Sold::Tier(tier) => Some(tier),
        Sold::Addon(_) => None,
    });
    tiers.map(move |tier| Grant {
        source: Source::Subscription(subscription.id.clone()),
        tier: tier.code.clone(),
        status: access.status,
        from: access.from,
        until: access.until,
    })
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
