//! Subscriptions for several things: each has its own period.

use super::*;

/// An item of a price of its own, with a period of thirty seconds.
pub(super) fn item(id: &str, from: i64) -> Item {
    let price = format!("price_of_{id}");
    Item { id: Some(id.into()), price, from: Some(at(from)), until: Some(at(from + 30)) }
}

/// A subscription for these items, told at `as_of`.
pub(super) fn of_items(as_of: i64, items: &[Item]) -> Subscription {
    let period = items.iter().filter_map(|item| item.from).max();
    Subscription {
        prices: items.iter().map(|item| item.price.clone()).collect(),
        items: items.to_vec(),
        period_start: period,
        ..told(as_of, 0, active(400))
    }
}

#[test]
fn an_item_that_comes_or_goes_proves_no_order() {
    let (tier, addon) = (item("si_tier", 0), item("si_addon", 10));
    let (both, alone) = (of_items(10, &[addon.clone(), tier.clone()]), of_items(20, std::slice::from_ref(&tier)));
    assert_eq!(by_event(Some(&both), alone.clone()), Decision::Apply(alone.clone()), "the removal came later");
    let late = Subscription { as_of: at(5), ..alone.clone() };
    assert_eq!(by_event(Some(&both), late), Decision::Ignore(Ignored::Older), "how it was before the add-on");
    assert!(matches!(by_event(Some(&alone), Subscription { as_of: at(21), ..both.clone() }), Decision::Apply(_)));
    let renewed = of_items(9, &[addon.clone(), item("si_tier", 30)]);
    assert!(matches!(by_event(Some(&both), renewed), Decision::Apply(_)), "a later period of one is later");
    let back = of_items(30, &[item("si_addon", 9), tier]);
    assert_eq!(by_event(Some(&both), back), Decision::Ignore(Ignored::Older), "an earlier one is earlier");
}

#[test]
fn a8_items_are_known_again_by_their_ids_else_by_their_prices_and_periods_that_disagree_prove_nothing() {
    let (tier, addon) = (item("si_tier", 0), item("si_addon", 10));
    let known = of_items(10, &[addon.clone(), tier.clone()]);
    let dearer = Item { price: "price_of_more".into(), ..item("si_tier", 30) };
    let renewed = of_items(9, &[addon.clone(), dearer]);
    assert!(
        matches!(by_event(Some(&known), renewed), Decision::Apply(_)),
        "an item of another price, and its next period"
    );
    let unnamed = |item: Item| Item { id: None, ..item };
    let known_by_price = of_items(10, &[unnamed(addon), unnamed(tier)]);
    let renewed = of_items(9, &[unnamed(item("si_addon", 10)), unnamed(item("si_tier", 30))]);
    assert!(
        matches!(by_event(Some(&known_by_price), renewed), Decision::Apply(_)),
        "the next period of one without an id"
    );
    // One went on, the other went back.
    for (addon, tier) in [(40, -30), (-20, 30)] {
        let crossed = |as_of| of_items(as_of, &[item("si_addon", addon), item("si_tier", tier)]);
        assert!(matches!(by_event(Some(&known), crossed(11)), Decision::Apply(_)), "told later: {addon}, {tier}");
        let earlier = by_event(Some(&known), crossed(9));
        assert_eq!(earlier, Decision::Ignore(Ignored::Older), "told earlier: {addon}, {tier}");
    }
}
