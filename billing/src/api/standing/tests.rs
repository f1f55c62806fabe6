//! Subscriptions that stand in the way of another purchase, and those that are shown as not settled.

use super::examples::{on, standing, subscription};
use super::*;

#[test]
fn what_a_provider_may_still_charge_for_is_live() {
    let active = State::Active { paid_until: Some(on(4, 1)) };
    let ending = |end| Subscription { cancel_at: Some(end), ..subscription("price_monthly", active) };
    let polar = SubscriptionId { provider: Provider::Polar, id: "polar_1".into() };
    let cases = [
        ("active", subscription("price_monthly", active), true),
        ("trialing", subscription("price_annual", State::Trialing { ends_at: on(3, 15) }), true),
        ("past due", subscription("price_annual", State::PastDue { since: on(3, 1) }), true),
        ("unpaid", subscription("price_monthly", State::Unpaid), true),
        ("paused", subscription("price_monthly", State::Paused), true),
        ("of a status that nobody knows", subscription("price_monthly", State::Unknown), true),
        ("ends later", ending(on(4, 1)), true),
        ("ended by its date, not told yet", ending(on(3, 10)), false),
        ("over", subscription("price_monthly", State::Ended { at: on(3, 9) }), false),
        ("never paid for", subscription("price_monthly", State::Incomplete), false),
        ("an add-on", subscription("price_domain", active), false),
        ("not of this catalog", subscription("price_of_another_shop", active), false),
        ("another provider's", Subscription { id: polar, ..subscription("product_annual", active) }, true),
        ("another provider's id", subscription("product_annual", active), false),
    ];
    for (what, subscription, expected) in cases {
        let standing = standing(vec![subscription], on(3, 10));
        assert_eq!(!standing.live(on(3, 10)).is_empty(), expected, "{what}");
    }
}

#[test]
fn what_no_catalog_names_stands_in_the_way_of_a_tier() {
    let active = State::Active { paid_until: Some(on(4, 1)) };
    for (prices, expected) in [
        (&["price_of_last_year"][..], true),
        (&["price_domain", "price_of_last_year"], true),
        (&["price_monthly", "price_of_last_year"], false),
        (&["price_domain"], false),
    ] {
        let prices = prices.iter().map(|&price| price.to_owned()).collect();
        let standing = standing(vec![Subscription { prices, ..subscription("", active) }], on(3, 10));
        assert_eq!(standing.may_hold_unnamed(on(3, 10)), expected);
    }
}

#[test]
fn what_was_bought_has_taken_effect_when_it_is_there() {
    let has = |prices: &[&str], price: &str| {
        let active = State::Active { paid_until: Some(on(4, 1)) };
        let subscriptions = prices.iter().map(|price| subscription(price, active)).collect();
        standing(subscriptions, on(3, 10)).has_bought(Provider::Stripe, price, on(3, 10))
    };
    assert!(has(&["price_monthly"], "price_annual"), "the tier is there, by whatever price");
    assert!(!has(&["price_monthly"], "price_domain") && has(&["price_domain"], "price_domain"));
    assert!(!has(&["price_domain"], "price_monthly") && !has(&[], "price_of_another_shop"));
}

#[test]
fn a_trial_is_for_those_who_never_had_access() {
    let cases = [
        ("nobody", None, true),
        ("never paid for", Some(State::Incomplete), true),
        ("given up before it began", Some(State::Ended { at: on(3, 1) }), true),
        ("over", Some(State::Ended { at: on(3, 9) }), false),
        ("trialing", Some(State::Trialing { ends_at: on(3, 15) }), false),
    ];
    for (what, state, expected) in cases {
        let had = |price: &str| state.map(|state| subscription(price, state)).into_iter().collect();
        assert_eq!(standing(had("price_annual"), on(3, 10)).is_new_buyer(), expected, "{what}");
        assert!(standing(had("price_domain"), on(3, 10)).is_new_buyer(), "{what}, of an add-on");
    }
}

#[test]
fn an_add_on_whose_money_went_back_is_not_held_also_beside_a_tier_that_goes_on() {
    let mut both = subscription("price_monthly", State::Active { paid_until: Some(on(4, 1)) });
    both.prices.push("price_domain".into());
    let mut standing = standing(vec![both.clone()], on(3, 10));
    let codes = |standing: &Standing| {
        let held = standing.held_addons(on(3, 10)).map(|(addon, _)| addon.code.clone());
        held.collect::<Vec<_>>()
    };
    assert_eq!(codes(&standing), ["domain"]);
    standing.withheld_prices.insert((both.id.clone(), "price_monthly".into()), Withheld::Refunded);
    assert_eq!(codes(&standing), ["domain"], "the tier's money went back");
    standing.withheld_prices.remove(&(both.id.clone(), "price_monthly".into()));
    standing.withheld_prices.insert((both.id.clone(), "price_domain".into()), Withheld::Refunded);
    assert_eq!(standing.ending(&both), Some(Ending::Prices(vec!["price_domain"])));
    standing.withheld_prices.insert((both.id.clone(), "price_monthly".into()), Withheld::Refunded);
    standing.withheld.insert(both.id.clone(), Withheld::Refunded);
    assert_eq!(standing.ending(&both), Some(Ending::Whole));
    assert_eq!(codes(&standing), [""; 0]);
    assert!(!standing.has_addon("domain", on(3, 10)), "it is sold again, and taken off its subscription first");
}
