//! An entitlement is a pure function of rows and time: nothing here asks anybody.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Sold;
use entitlement::record::Entitlement;
use entitlement::subscription::Subscription;
use entitlement::timeline::{Grant, Source, Status, timeline};

use crate::store::catalogs::Rules;
use crate::store::credits::Credit;
use crate::store::snapshot::Snapshot;

/// What an account has, as it is cached at `now`.
#[must_use]
pub fn entitlement_of(account: &AccountId, snapshot: &Snapshot, rules: &Rules, now: Timestamp) -> Entitlement {
    let timeline = timeline(&rules.catalog, &grants(snapshot, rules)).cacheable(now);
    Entitlement { account: account.clone(), version: snapshot.version, timeline }
}

/// Every reason for which an account holds a tier, past ones included.
#[must_use]
pub fn grants(snapshot: &Snapshot, rules: &Rules) -> Vec<Grant> {
    let subscribed = snapshot.subscriptions.iter().flat_map(|subscription| of_subscription(subscription, rules));
    subscribed.chain(snapshot.credits.iter().filter_map(of_credit)).collect()
}

/// One grant for each price that buys a tier: a price that no catalog names grants nothing.
fn of_subscription<'a>(subscription: &'a Subscription, rules: &'a Rules) -> impl Iterator<Item = Grant> + 'a {
    let access = subscription.access(&rules.grace);
    access.into_iter().flat_map(move |access| {
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
    })
}

fn of_credit(credit: &Credit) -> Option<Grant> {
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
