//! What an operator is told of a subscription.

use std::collections::BTreeSet;

use entitlement::account::AccountId;
use entitlement::catalog::{Provider, Sold};
use entitlement::subscription::{State, Subscription};

use crate::metrics;
use crate::store::catalogs::Rules;
use crate::store::subscriptions;

/// What the operator must know when somebody pays for what no catalog names.
pub fn unknown_prices(account: &AccountId, subscription: &Subscription, rules: &Rules) -> Option<String> {
    // A subscription that is over, or not yet begun, grants nothing by right.
    let is_for_nothing = matches!(
        subscription.state,
        State::Incomplete | State::Lapsed { .. } | State::WrittenOff { .. } | State::Ended { .. }
    );
    if is_for_nothing {
        return None;
    }
    let sold = |price: &&String| rules.catalog.sold(subscription.id.provider, price).is_none();
    let unknown: Vec<&str> = subscription.prices.iter().filter(sold).map(String::as_str).collect();
    let note = match unknown.as_slice() {
        [] if subscription.prices.is_empty() => "the subscription names no price".to_owned(),
        [] => return None,
        [price] => format!("no catalog names the price {price}"),
        prices => format!("no catalog names the prices {}", prices.join(", ")),
    };
    metrics::count_unknown_price();
    let (provider, subscription) = (subscription.id.provider, &subscription.id.id);
    tracing::error!(%provider, %account, subscription, note, "a subscription grants nothing for what it pays: add its price to the catalog");
    Some(note)
}

/// Whether money is taken for a subscription, or will be.
pub const fn is_paid_for(subscription: &Subscription) -> bool {
    matches!(subscription.state, State::Trialing { .. } | State::Active { .. } | State::PastDue { .. })
}

/// Whether it may be charged for from now on.
pub const fn may_run(subscription: &Subscription) -> bool {
    !matches!(subscription.state, State::Incomplete | State::Lapsed { .. } | State::Ended { .. })
}

/// The tiers and add-ons that prices buy, by their codes; of what is not sold here, the price.
pub fn bought(provider: Provider, prices: &[String], rules: &Rules) -> BTreeSet<(u8, String)> {
    let named = |price: &String| match rules.catalog.sold(provider, price) {
        Some(Sold::Tier(tier)) => (0, tier.code.clone()),
        Some(Sold::Addon(addon)) => (1, addon.code.clone()),
        None => (2, format!("{provider}:{price}")),
    };
    prices.iter().map(named).collect()
}

/// Whether two subscriptions buy the same tier or the same add-on, at whatever price of whichever provider; of what is not sold here,
/// the same price.
pub fn buys_the_same(
    (provider, prices): (Provider, &[String]),
    (other_provider, others): (Provider, &[String]),
    rules: &Rules,
) -> bool {
    !bought(provider, prices, rules).is_disjoint(&bought(other_provider, others, rules))
}

/// One line for the audit log.
pub fn described(subscription: &Subscription, note: Option<&str>) -> String {
    let state = subscriptions::state_name(subscription.state);
    let mut line = format!("subscription {} is {state}", subscription.id.id);
    if subscription.collection_paused {
        line.push_str(", collection paused");
    }
    if let Some(end) = subscription.cancel_at {
        line.push_str(&format!(", ends at {}", crate::clock::written(end)));
    }
    if let Some(note) = note {
        line.push_str(&format!("; {note}"));
    }
    line
}
