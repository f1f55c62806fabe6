//! Standings that are made up, for the tests of what shows them.

use chrono::Duration;
use entitlement::subscription::{Dues, Grace, Policy};
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
        cancel_at: None,
        period_start: Some(on(3, 1)),
        first_due: None,
        as_of: on(3, 1),
        before: None,
    }
}

/// The standing of somebody with these subscriptions.
pub fn standing(subscriptions: Vec<Subscription>, now: Timestamp) -> Standing {
    let catalog: Catalog = toml::from_str(CATALOG).expect("a catalog");
    let grace = Grace {
        past_due: Duration::days(14),
        renewal: Duration::days(3),
        trial: Duration::days(1),
        ..Grace::default()
    };
    let policy = Policy::default();
    let grant = |subscription: &Subscription| {
        let (access, bought) = (subscription.access(&grace, &policy, &[])?, bought(&catalog, subscription)?);
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
    let rules = Arc::new(Rules { id: Some(1), catalog, grace, policy });
    let reason = |subscription: &Subscription| {
        let item = subscription.all_items().into_iter().next()?;
        let withheld = subscription.withheld(&item, &Dues::default(), (&grace, &policy), &[], now)?;
        Some((subscription.id.clone(), withheld))
    };
    let withheld = subscriptions.iter().filter_map(reason).collect();
    Standing { rules, segment, subscriptions, withheld }
}
