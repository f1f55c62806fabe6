//! Which bills a period was paid by, and when nothing of it is left.

use super::*;

const ADDON: &str = "price_addon";

fn addon() -> Item {
    Item { id: Some("si_2".into()), price: ADDON.into(), ..item() }
}

fn billed(id: &str, from: i64) -> Invoice {
    Invoice { id: id.into(), covers_from: at(from), lines: vec![line("il_1", true, from, 700)], ..bill() }
}

/// Bills with what went back of each, and when.
type Returns = Vec<(Invoice, i64, i64)>;

fn loss_of(item: &Item, since: i64, returns: &Returns) -> Option<Setback> {
    let back = |amount: &i64, second: &i64| Payment { amount: 700, ..payment(*amount, Some(*second)) };
    let payments: Vec<Payment> = returns.iter().map(|(_, amount, second)| back(amount, second)).collect();
    let parts: Vec<Part<'_>> = payments.iter().map(|payment| part(payment, &[])).collect();
    let bills = returns.iter().zip(parts.chunks(1)).map(|((invoice, amount, _), parts)| {
        let returned = Returned { parts, took_in: invoice.took_in(), currency: None, covers_from: at(since) };
        Bill { invoice, returned: (*amount > 0).then_some(returned) }
    });
    let bills: Vec<Bill<'_>> = bills.collect();
    let items = [super::item(), addon()];
    Period { item, items: &items, since: Some(at(since)) }.loss(&bills, |price| price == "price_before")
}

#[test]
fn a1_a_line_of_an_item_that_was_taken_off_is_of_the_one_with_its_price() {
    let (tier, addon) = (item(), addon());
    let items = [tier.clone(), addon.clone()];
    let gone = |price: Option<&str>| Line {
        item: Some("si_0".into()),
        price: price.map(Into::into),
        ..line("il_1", true, 0, 700)
    };
    for (line, of_tier, of_addon) in [
        (line("il_1", true, 0, 700), true, false),
        (gone(Some("price_1")), true, false),
        (gone(Some(ADDON)), false, true),
        // Either may have had it.
        (gone(Some("price_before")), true, true),
        (gone(None), false, false),
    ] {
        assert_eq!((line.is_of(&tier, &items), line.is_of(&addon, &items)), (of_tier, of_addon), "{line:?}");
    }
    let swapped = vec![(Invoice { lines: vec![gone(Some("price_1"))], ..billed("in_1", 10) }, 700, 40)];
    assert!(loss_of(&tier, 10, &swapped).is_some(), "its money went back");
}

#[test]
fn a1_a_bill_that_reaches_into_the_period_pays_for_it_whatever_its_reason_and_its_beginning() {
    let usage = |id| Invoice { renews: false, paid: 100, ..billed(id, 0) };
    let of_addon = Line { item: Some("si_2".into()), price: Some(ADDON.into()), ..line("il_1", true, 0, 700) };
    let of_addon = Invoice { lines: vec![of_addon], ..billed("in_2", 0) };
    let unpaid = Invoice { paid: 0, settled: false, ..billed("in_2", 10) };
    let of_nothing = Invoice { paid: 0, ..billed("in_2", 10) };
    let begun = Invoice { paid: 100, settled: false, ..billed("in_2", 10) };
    let lost = |second| Some(Setback::Refunded { at: at(second), covers_from: at(10) });
    let cases = [
        ("the anchor was moved", vec![(billed("in_1", 0), 700, 40)], lost(40)),
        ("a part of it", vec![(billed("in_1", 0), 699, 40)], None),
        ("the period before", vec![(billed("in_1", -20), 700, 40)], None),
        ("one that began with the period", vec![(billed("in_1", 0), 700, 40), (billed("in_2", 10), 0, 0)], None),
        ("that one went back", vec![(billed("in_1", 0), 0, 0), (billed("in_2", 10), 700, 41)], lost(41)),
        ("the later one is not paid", vec![(billed("in_1", 0), 700, 40), (unpaid, 0, 0)], lost(40)),
        ("one of two for the same time", vec![(billed("in_1", 0), 700, 40), (billed("in_2", 0), 0, 0)], None),
        ("both of them", vec![(billed("in_1", 0), 700, 40), (billed("in_2", 0), 700, 45)], lost(45)),
        ("usage beside it", vec![(billed("in_1", 0), 0, 0), (usage("in_2"), 100, 40)], None),
        ("all but the usage", vec![(billed("in_1", 0), 700, 40), (usage("in_2"), 0, 0)], lost(40)),
        ("usage alone", vec![(usage("in_1"), 100, 40)], lost(40)),
        ("one of nothing beside it", vec![(billed("in_1", 10), 700, 40), (of_nothing, 0, 0)], lost(40)),
        ("one beside it of which a part is paid", vec![(billed("in_1", 10), 700, 40), (begun, 0, 0)], lost(40)),
        ("an add-on's", vec![(of_addon, 700, 40)], None),
    ];
    for (what, returns, expected) in cases {
        assert_eq!(loss_of(&item(), 10, &returns), expected, "{what}");
        let other_way: Returns = returns.into_iter().rev().collect();
        assert_eq!(loss_of(&item(), 10, &other_way), expected, "{what}, told in another order");
    }
}

#[test]
fn a_bill_that_was_written_off_pays_for_nothing_unless_another_one_does() {
    let marked = |id: &str, from, second| Invoice {
        paid: 0,
        settled: false,
        written_off_at: Some(at(second)),
        ..billed(id, from)
    };
    let of = |bills: &[Invoice]| {
        let bills: Vec<Bill<'_>> = bills.iter().map(|invoice| Bill { invoice, returned: None }).collect();
        let items = [item(), addon()];
        Period { item: &item(), items: &items, since: Some(at(10)) }.written_off(&bills, |_| false)
    };
    let off = |second| Some(Setback::WrittenOff { at: at(second), covers_from: at(10) });
    let usage = Invoice { renews: false, ..marked("in_1", 10, 40) };
    let mut of_addon = marked("in_1", 10, 40);
    of_addon.lines[0].price = Some(ADDON.into());
    let mut change = marked("in_1", 10, 40);
    change.lines[0].whole = false;
    let cases = [
        ("the bill of the period", vec![marked("in_1", 10, 40)], off(40)),
        ("two", vec![marked("in_1", 10, 40), marked("in_2", 10, 45)], off(45)),
        ("another one is paid", vec![marked("in_1", 10, 40), billed("in_2", 10)], None),
        ("the one before is paid", vec![marked("in_1", 10, 40), billed("in_2", -20)], off(40)),
        ("it was paid after all", vec![Invoice { settled: true, ..marked("in_1", 10, 40) }], None),
        ("it was voided after all", vec![Invoice { voided: true, ..marked("in_1", 10, 40) }], None),
        (
            "another one was voided",
            vec![Invoice { voided: true, ..marked("in_1", 10, 45) }, marked("in_2", 10, 40)],
            off(40),
        ),
        ("the period before", vec![marked("in_1", -20, 40)], None),
        ("usage", vec![usage], None),
        ("an add-on's", vec![of_addon], None),
        ("a change", vec![change], None),
        ("open", vec![Invoice { written_off_at: None, ..marked("in_1", 10, 40) }], None),
    ];
    for (what, mut bills, expected) in cases {
        assert_eq!(of(&bills), expected, "{what}");
        bills.reverse();
        assert_eq!(of(&bills), expected, "{what}, told in another order");
    }
}

#[test]
fn a2_a_period_of_which_one_bill_was_given_back_and_one_was_lost_is_lost_with_the_later() {
    let (first, second) = (billed("in_1", 10), billed("in_2", 10));
    let (given_back, kept) = (payment(700, Some(45)), payment(0, None));
    let lost = [dispute(DisputeState::Lost, 40)];
    let items = [item(), addon()];
    let loss = |disputes: [&[Dispute]; 2], payments: [&Payment; 2]| {
        let parts = [[part(payments[0], disputes[0])], [part(payments[1], disputes[1])]];
        let returned =
            |place: usize, from| Returned { parts: &parts[place], took_in: 700, currency: None, covers_from: at(from) };
        let bills = [
            Bill { invoice: &first, returned: Some(returned(0, 10)) },
            Bill { invoice: &second, returned: Some(returned(1, 12)) },
        ];
        let period = Period { item: &items[0], items: &items, since: Some(at(10)) };
        let reversed = [bills[1].clone(), bills[0].clone()];
        let both = (period.loss(&bills, |_| false), period.loss(&reversed, |_| false));
        assert_eq!(both.0, both.1, "in either order");
        both.0
    };
    let (covers_from, none): (_, &[Dispute]) = (at(12), &[]);
    let of_both = loss([none, &lost], [&given_back, &kept]);
    assert_eq!(of_both, Some(Setback::Lost { at: at(45), covers_from }), "the money that was given back came last");
    let of_both = loss([&lost, none], [&kept, &payment(700, Some(38))]);
    assert_eq!(of_both, Some(Setback::Lost { at: at(40), covers_from }), "it came first");
    let of_both = loss([none, none], [&given_back, &payment(700, Some(38))]);
    assert_eq!(of_both, Some(Setback::Refunded { at: at(45), covers_from }), "both were given back");
}

#[test]
fn an_add_on_loses_what_its_own_bill_paid_for_and_the_tier_nothing() {
    let of_addon = Line { item: Some("si_2".into()), price: Some(ADDON.into()), ..line("il_1", true, 0, 700) };
    let of_addon = Invoice { lines: vec![of_addon], ..billed("in_2", 0) };
    let returns = vec![(billed("in_1", 0), 0, 0), (of_addon, 700, 40)];
    assert!(loss_of(&addon(), 0, &returns).is_some());
    assert_eq!(loss_of(&item(), 0, &returns), None);
}

/// A bill with lines for the tier, the add-on, a price that the tier had before, and a fee; and what went back of it.
fn some_return() -> impl Strategy<Value = (Invoice, i64, i64)> {
    let what = prop_oneof![
        Just((Some("si_1"), "price_1")),
        Just((Some("si_2"), ADDON)),
        Just((Some("si_1"), "price_before")),
        Just((Some("si_1"), "price_fee")),
        Just((None, "price_fee")),
    ];
    let line = (what, any::<bool>(), 0..4_i64, 1..4_i64).prop_map(|((item, price), whole, from, length)| Line {
        item: item.map(Into::into),
        price: Some(price.into()),
        until: Some(at((from + length) * 10)),
        ..line("il", whole, from * 10, 700)
    });
    let balance = prop_oneof![3 => Just(0), 1 => Just(100)];
    let money = (any::<bool>(), any::<bool>(), prop_oneof![Just(0), Just(350), Just(700)], 40..60_i64, balance);
    (prop::collection::vec(line, 1..4), money).prop_map(|(mut lines, (renews, settled, back, second, balance))| {
        for (place, line) in lines.iter_mut().enumerate() {
            line.id = format!("il_{place}");
        }
        let paid = if settled || back > 0 { 700 } else { 0 };
        let balance = if paid > 0 { balance } else { 0 };
        (Invoice { renews, settled, paid, balance, lines, ..bill() }, back, second)
    })
}

fn some_returns() -> impl Strategy<Value = Returns> {
    prop::collection::vec(some_return(), 0..5).prop_map(|mut returns| {
        for (place, (invoice, ..)) in returns.iter_mut().enumerate() {
            invoice.id = format!("in_{place}");
        }
        returns
    })
}

/// When a bill begins to pay for the item, in words as plain as those of the rule: a whole line of it that is for time after `since`.
fn begins(invoice: &Invoice, item: &Item, since: i64) -> Option<Timestamp> {
    let is_alike = |price: &str| price == item.price || (price == "price_before" && item.price == "price_1");
    let of_item =
        invoice.lines.iter().filter(|line| line.item == item.id && line.price.as_deref().is_some_and(is_alike));
    of_item.filter(|line| line.whole && line.until > Some(at(since))).map(|line| line.from).max()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a1_a2_a_period_is_lost_when_all_bills_that_pay_for_it_went_back_and_never_otherwise(
        (returns, shuffled) in some_returns().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        since in prop_oneof![Just(0), Just(10), Just(15), Just(20)],
    ) {
        for item in [item(), addon()] {
            let loss = loss_of(&item, since, &returns);
            prop_assert_eq!(loss_of(&item, since, &shuffled), loss, "the order says nothing");
            // Those that pay for it, by the latest of their beginnings; of the period itself all.
            let paid = returns.iter().filter(|(invoice, ..)| invoice.paid > 0);
            let paying: Vec<_> = paid.filter_map(|one| Some((begins(&one.0, &item, since)?, one))).collect();
            let last = paying.iter().map(|(from, _)| *from).max();
            let of_period = |from: Timestamp| from >= at(since) || Some(from) == last && last < Some(at(since));
            let own: Vec<_> = paying.into_iter().filter(|(from, _)| of_period(*from)).map(|(_, one)| one).collect();
            let has_whole = own.iter().any(|(invoice, ..)| invoice.renews);
            let own: Vec<_> = own.into_iter().filter(|(invoice, ..)| !has_whole || invoice.renews).collect();
            let is_lost = !own.is_empty() && own.iter().all(|(invoice, back, _)| *back == 700 && invoice.balance == 0);
            let second = own.iter().map(|(.., second)| *second).max();
            let expected = second.filter(|_| is_lost).map(|at_second| Setback::Refunded { at: at(at_second), covers_from: at(since) });
            prop_assert_eq!(loss, expected);
        }
    }
}
