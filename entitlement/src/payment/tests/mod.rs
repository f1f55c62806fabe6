//! What went back, and pieces in any order.

mod period;

use proptest::prelude::*;

use super::*;
use crate::subscription::{Item, Setback};

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::Duration::seconds(second)
}

fn payment(refunded: i64, refunded_at: Option<i64>) -> Payment {
    Payment {
        id: "pi_1".into(),
        customer: Some("cus_1".into()),
        invoice: None,
        amount: 700,
        currency: None,
        made_at: Some(at(0)),
        refunded,
        refunded_at: refunded_at.map(at),
    }
}

fn refund(id: &str, amount: i64, state: RefundState, second: i64) -> Refund {
    Refund { id: id.into(), payment: "pi_1".into(), amount, state, at: at(second) }
}

fn dispute(state: DisputeState, second: i64) -> Dispute {
    Dispute { id: "du_1".into(), payment: "pi_1".into(), amount: 0, state, opened_at: at(second), as_of: at(second) }
}

#[test]
fn only_money_that_went_back_in_full_and_stays_back_is_a_setback() {
    use RefundState::{Failed, Made, Pending};
    let refunded = |second| vec![Setback::Refunded { at: at(second), covers_from: at(1) }];
    let cases = [
        ("nothing went back", payment(0, None), vec![], vec![]),
        ("a part", payment(699, Some(5)), vec![], vec![]),
        ("all, told by the payment", payment(700, Some(5)), vec![], refunded(5)),
        (
            "all, in two refunds",
            payment(0, None),
            vec![refund("a", 300, Made, 4), refund("b", 400, Made, 6)],
            refunded(6),
        ),
        ("on its way", payment(0, None), vec![refund("a", 700, Pending, 4)], vec![]),
        ("on its way, told by the payment too", payment(700, Some(5)), vec![refund("a", 700, Pending, 4)], vec![]),
        ("all, but it failed", payment(700, Some(5)), vec![refund("a", 700, Failed, 4)], vec![]),
        ("once more", payment(700, Some(5)), vec![refund("a", 700, Failed, 4), refund("b", 700, Made, 9)], refunded(9)),
        ("a payment of nothing", Payment { amount: 0, ..payment(0, None) }, vec![], vec![]),
    ];
    for (what, payment, refunds, expected) in cases {
        let parts = [Part { payment: &payment, refunds: &refunds, disputes: &[] }];
        let took_in = payment.amount;
        let returned = Returned { parts: &parts, took_in, currency: None, covers_from: at(1) };
        assert_eq!(returned.setbacks(), expected, "{what}");
    }
}

#[test]
fn a_dispute_holds_until_it_is_decided_and_an_inquiry_never_does() {
    use DisputeState::{Inquiry, Lost, Open, Won};
    for (state, expected) in [
        (Inquiry, vec![]),
        (Open, vec![Setback::Disputed { since: at(3) }]),
        (Lost, vec![Setback::Lost { at: at(3), covers_from: at(1) }]),
        (Won, vec![]),
    ] {
        let (payment, disputes) = (payment(0, None), [dispute(state, 3)]);
        let parts = [Part { payment: &payment, refunds: &[], disputes: &disputes }];
        let returned = Returned { parts: &parts, took_in: 700, currency: None, covers_from: at(1) };
        assert_eq!(returned.setbacks(), expected, "{state:?}");
    }
    let merged = |one: &Dispute, other: &Dispute| {
        let both = (one.clone().merged(other.clone()).state, other.clone().merged(one.clone()).state);
        assert_eq!(both.0, both.1, "in either order");
        both.0
    };
    assert_eq!(merged(&dispute(Open, 9), &dispute(Won, 5)), Won, "a late word does not reopen it");
    assert_eq!(merged(&dispute(Inquiry, 9), &dispute(Open, 5)), Open);
    assert_eq!(merged(&dispute(Won, 5), &dispute(Lost, 9)), Lost, "decided again");
}

fn some_time() -> impl Strategy<Value = Option<Timestamp>> {
    prop::option::of((0..9_i64).prop_map(at))
}

fn line(id: &str, whole: bool, from: i64, amount: i64) -> Line {
    Line {
        id: id.into(),
        item: Some("si_1".into()),
        price: Some("price_1".into()),
        from: at(from),
        until: Some(at(from + 30)),
        whole,
        amount,
    }
}

fn bill() -> Invoice {
    Invoice {
        id: "in_1".into(),
        subscription: "sub_1".into(),
        customer: "cus_1".into(),
        renews: true,
        covers_from: at(0),
        paid: 700,
        balance: 0,
        currency: None,
        settled: true,
        lines: vec![line("il_1", true, 0, 700)],
        attempts: 1,
        failed_at: None,
        needs_action: false,
        written_off_at: None,
        voided: false,
    }
}

fn some_line() -> impl Strategy<Value = Line> {
    ("il_[1-3]", any::<bool>(), 0..9_i64, -2..3_i64)
        .prop_map(|(id, whole, from, amount)| line(&id, whole, from, amount * 350))
}

/// A piece of one bill.
fn some_bill() -> impl Strategy<Value = Invoice> {
    let money = (0..3_i64, -1..2_i64, prop::option::of("(gbp|eur)"), any::<bool>());
    let rest = (any::<bool>(), 0..9_i64, 0..3_i32, some_time(), any::<bool>(), (some_time(), any::<bool>()));
    (money, rest, prop::collection::vec(some_line(), 0..4)).prop_map(
        |(
            (paid, balance, currency, settled),
            (renews, second, attempts, failed_at, needs_action, (written_off_at, voided)),
            mut lines,
        )| {
            lines.sort();
            lines.dedup_by(|one, kept| one.id == kept.id);
            Invoice {
                renews,
                covers_from: at(second),
                paid: paid * 350,
                balance: balance * 350,
                currency,
                settled,
                lines,
                attempts,
                failed_at,
                needs_action,
                written_off_at,
                voided,
                ..bill()
            }
        },
    )
}

fn item() -> Item {
    Item { id: Some("si_1".into()), price: "price_1".into(), from: Some(at(0)), until: Some(at(30)) }
}

#[test]
fn a_bill_pays_for_the_period_by_its_lines_and_for_no_other_reason() {
    let other = Line { item: Some("si_2".into()), ..line("il_2", true, 0, 700) };
    let gone = Line { item: Some("si_0".into()), ..line("il_2", true, 0, 700) };
    let items = [item(), Item { id: Some("si_2".into()), price: "price_2".into(), ..item() }];
    let unnamed = Line { item: None, price: None, ..line("il_1", true, 0, 700) };
    let changed = Line { item: None, price: Some("price_of_before".into()), ..line("il_1", true, 0, 700) };
    let cases = [
        ("the whole period", vec![line("il_1", true, 0, 700)], true),
        ("a change within it", vec![line("il_1", false, 3, 700)], false),
        ("an upgrade into a new one", vec![line("il_1", false, 0, -300), line("il_2", true, 0, 7000)], true),
        ("a period before", vec![line("il_1", true, -30, 700)], false),
        ("a later one", vec![line("il_1", true, 30, 700)], true),
        ("another item", vec![other.clone()], false),
        ("both items", vec![line("il_1", true, 0, 700), other], true),
        ("an item that was taken off, and added again", vec![gone], true),
        ("it names no item", vec![unnamed], true),
        ("a price that was left", vec![changed], true),
        ("a moment", vec![Line { until: Some(at(0)), ..line("il_1", true, 0, 700) }], false),
    ];
    for (what, lines, expected) in cases {
        for renews in [true, false] {
            let bill = Invoice { lines: lines.clone(), renews, ..bill() };
            assert_eq!(bill.pays_for(&item(), &items, Some(at(0)), |_| true), expected, "{what}");
        }
    }
    for (renews, covers_from, expected) in [(true, 0, true), (false, 0, false), (true, -1, false)] {
        let bill = Invoice { lines: Vec::new(), renews, covers_from: at(covers_from), ..bill() };
        assert_eq!(
            bill.pays_for(&item(), &[item()], Some(at(0)), |_| true),
            expected,
            "without lines: {renews} {covers_from}"
        );
    }
}

#[test]
fn only_a_line_of_the_item_and_its_price_pays_for_it() {
    let addon = Item { id: Some("si_2".into()), price: "price_addon".into(), ..item() };
    let items = [item(), addon.clone()];
    let line = |item: Option<&str>, price: Option<&str>| Line {
        item: item.map(Into::into),
        price: price.map(Into::into),
        ..line("il_1", true, 0, 700)
    };
    let cases = [
        ("the tier", line(Some("si_1"), Some("price_1")), true, false),
        ("the add-on", line(Some("si_2"), Some("price_addon")), false, true),
        ("the add-on, by its price", line(None, Some("price_addon")), false, true),
        ("the price of the add-on under the item of the tier", line(Some("si_1"), Some("price_addon")), false, false),
        ("a fee", line(None, Some("price_fee")), false, false),
        ("a fee under the item of the tier", line(Some("si_1"), Some("price_fee")), false, false),
        ("an earlier price of the tier", line(Some("si_1"), Some("price_before")), true, false),
        ("the item alone", line(Some("si_1"), None), true, false),
        ("nothing is told", line(None, None), true, true),
    ];
    for (what, line, of_tier, of_addon) in cases {
        let bill = Invoice { lines: vec![line], ..bill() };
        let pays_for = |item: &Item| bill.pays_for(item, &items, Some(at(0)), |price| price == "price_before");
        assert_eq!((pays_for(&item()), pays_for(&addon)), (of_tier, of_addon), "{what}");
    }
}

fn part<'a>(payment: &'a Payment, disputes: &'a [Dispute]) -> Part<'a> {
    Part { payment, refunds: &[], disputes }
}

#[test]
fn what_went_back_is_held_against_what_the_bill_took_in() {
    use DisputeState::{Lost, Won};
    let second = Payment { id: "pi_2".into(), amount: 300, ..payment(300, Some(4)) };
    let euros = Payment { currency: Some("eur".into()), ..payment(700, Some(5)) };
    let lost = |amount| Dispute { amount, ..dispute(Lost, 6) };
    let refunded = |second| Some(Setback::Refunded { at: at(second), covers_from: at(0) });
    let took_back = |second| Some(Setback::Lost { at: at(second), covers_from: at(0) });
    let loss = |parts: &[Part<'_>], took_in, currency| Returned { parts, took_in, currency, covers_from: at(0) }.loss();
    let whole = payment(700, Some(5));
    let kept = payment(0, None);
    assert_eq!(loss(&[part(&whole, &[])], 700, None), refunded(5), "all of it");
    assert_eq!(loss(&[part(&whole, &[])], 1000, None), None, "the rest came from a balance, or another payment");
    assert_eq!(loss(&[part(&whole, &[]), part(&second, &[])], 1000, None), refunded(5), "both payments");
    assert_eq!(loss(&[part(&second, &[])], 1000, None), None, "one of two");
    assert_eq!(loss(&[part(&euros, &[])], 700, Some("gbp")), None, "another currency");
    assert_eq!(loss(&[part(&euros, &[])], 700, Some("eur")), refunded(5));
    assert_eq!(loss(&[part(&whole, &[])], 0, None), None, "a bill of nothing");
    assert_eq!(loss(&[part(&kept, &[lost(700)])], 700, None), took_back(6), "lost");
    assert_eq!(loss(&[part(&kept, &[lost(300)])], 700, None), None, "a part of it");
    assert_eq!(loss(&[part(&kept, &[lost(0)])], 700, None), took_back(6), "the bank did not say how much");
    assert_eq!(loss(&[part(&kept, &[lost(400)]), part(&second, &[])], 700, None), took_back(6), "lost and given back");
    assert_eq!(loss(&[part(&kept, &[dispute(Won, 6)])], 700, None), None, "won");
}

/// Payments of one bill, each with its refunds and disputes.
fn loss_of_parts(parts: &[(Payment, Vec<Refund>, Vec<Dispute>)], took_in: i64) -> Option<Setback> {
    let parts: Vec<Part<'_>> =
        parts.iter().map(|(payment, refunds, disputes)| Part { payment, refunds, disputes }).collect();
    Returned { parts: &parts, took_in, currency: None, covers_from: at(0) }.loss()
}

#[test]
fn a2_what_goes_back_of_a_payment_adds_up_to_that_payment_and_to_no_more() {
    use DisputeState::{Lost, Won};
    use RefundState::Failed;
    let lost = |amount, second| Dispute { amount, ..dispute(Lost, second) };
    let won = |amount| Dispute { id: "du_2".into(), amount, ..dispute(Won, 6) };
    let small = |refunded, second| Payment { id: "pi_2".into(), amount: 300, ..payment(refunded, Some(second)) };
    let of_nothing = Payment { amount: 0, ..payment(0, None) };
    let gave_back = |second| Some(Setback::Refunded { at: at(second), covers_from: at(0) });
    let took_back = |second| Some(Setback::Lost { at: at(second), covers_from: at(0) });
    let none = || (Vec::<Refund>::new(), Vec::<Dispute>::new());
    let whole = |payment: Payment| (payment, none().0, none().1);
    let disputed = |payment: Payment, disputes: Vec<Dispute>| (payment, none().0, disputes);
    let failed = (small(300, 9), vec![refund("a", 300, Failed, 9)], none().1);
    let cases = [
        ("given back and lost, both of it", vec![disputed(payment(700, Some(5)), vec![lost(700, 6)])], 1000, None),
        ("lost twice", vec![disputed(payment(0, None), vec![lost(700, 6), lost(700, 7)])], 1000, None),
        ("a part of each", vec![disputed(payment(300, Some(4)), vec![lost(400, 6)])], 700, took_back(6)),
        ("the later of both", vec![disputed(payment(300, Some(9)), vec![lost(400, 6)])], 700, took_back(9)),
        ("lost and won", vec![disputed(payment(0, None), vec![lost(300, 6), won(400)])], 700, None),
        ("of no known amount", vec![disputed(of_nothing.clone(), vec![lost(0, 6)])], 700, took_back(6)),
        ("of no known amount, a part", vec![disputed(of_nothing, vec![lost(300, 6)])], 700, None),
        ("the last of two", vec![whole(small(300, 4)), whole(payment(700, Some(5)))], 1000, gave_back(5)),
        (
            "the last of two losses",
            vec![disputed(small(0, 0), vec![lost(300, 6)]), disputed(payment(0, None), vec![lost(700, 8)])],
            1000,
            took_back(8),
        ),
        ("what failed dates nothing", vec![whole(payment(700, Some(5))), failed], 700, gave_back(5)),
    ];
    for (what, mut parts, took_in, expected) in cases {
        assert_eq!(loss_of_parts(&parts, took_in), expected, "{what}");
        parts.reverse();
        assert_eq!(loss_of_parts(&parts, took_in), expected, "{what}, told in another order");
    }
}

fn pieces<T: std::fmt::Debug>(piece: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    prop::collection::vec(piece, 1..6)
}

/// Merges in the order given, then in the reverse order with every piece twice.
fn both_ways<T: Clone>(pieces: &[T], merged: impl Fn(T, T) -> T) -> (T, T) {
    let fold = |pieces: Vec<T>| pieces.into_iter().reduce(&merged).expect("there is one");
    let again = pieces.iter().rev().flat_map(|piece| [piece.clone(), piece.clone()]).collect();
    (fold(pieces.to_vec()), fold(again))
}

proptest! {
    #[test]
    fn neither_order_nor_repetition_matters(
        payments in pieces((0..3_i64, some_time(), prop::option::of("in_[12]"), 0..2_i64).prop_map(
            |(refunded, refunded_at, invoice, amount)| Payment {
                invoice, amount, refunded: refunded * 350, refunded_at, ..payment(0, None)
            },
        )),
        disputes in pieces((0..4_usize, 0..9_i64).prop_map(|(state, second)| dispute(
            [DisputeState::Inquiry, DisputeState::Open, DisputeState::Lost, DisputeState::Won][state], second,
        ))),
        invoices in pieces(some_bill()),
    ) {
        let (one, other) = both_ways(&payments, Payment::merged);
        prop_assert_eq!(one, other);
        let (one, other) = both_ways(&disputes, Dispute::merged);
        prop_assert_eq!(one, other);
        let (one, other) = both_ways(&invoices, Invoice::merged);
        prop_assert_eq!(one, other);
    }
    #[test]
    fn nothing_ends_without_proof_that_all_of_the_bill_went_back(
        amounts in prop::collection::vec((1..900_i64, 0..900_i64, any::<bool>()), 1..4),
        balance in 0..300_i64,
    ) {
        // Each payment: its amount, what went back of it, and whether as a refund or by a dispute.
        let payments: Vec<(Payment, Vec<Dispute>)> = amounts
            .iter()
            .enumerate()
            .map(|(place, (amount, back, is_refund))| {
                let id = format!("pi_{place}");
                let back = (*back).min(*amount);
                let refunded = if *is_refund { back } else { 0 };
                let refunded_at = (refunded > 0).then(|| at(5));
                let payment = Payment { id: id.clone(), amount: *amount, refunded, refunded_at, ..payment(0, None) };
                let lost = Dispute { payment: id, amount: back, ..dispute(DisputeState::Lost, 6) };
                (payment, if *is_refund || back == 0 { Vec::new() } else { vec![lost] })
            })
            .collect();
        let parts: Vec<Part<'_>> =
            payments.iter().map(|(payment, disputes)| Part { payment, refunds: &[], disputes }).collect();
        let paid: i64 = amounts.iter().map(|(amount, ..)| amount).sum();
        let back: i64 = amounts.iter().map(|(amount, back, _)| back.min(amount)).sum();
        let took_in = paid + balance;
        let loss = Returned { parts: &parts, took_in, currency: None, covers_from: at(0) }.loss();
        prop_assert_eq!(loss.is_some(), back >= took_in);
        let below = |least| Returned { parts: &parts, took_in, currency: None, covers_from: at(0) }.loss_below(least);
        for least in [1, 100, 700] {
            prop_assert_eq!(below(least).is_some(), back > 0 && took_in - back < least, "{} of {}", back, took_in);
        }
        // In any order, and without the payments of which nothing went back.
        let some: Vec<Part<'_>> = parts
            .iter()
            .rev()
            .filter(|part| part.payment.refunded > 0 || !part.disputes.is_empty())
            .copied()
            .collect();
        prop_assert_eq!(Returned { parts: &some, took_in, currency: None, covers_from: at(0) }.loss(), loss);
    }

    #[test]
    fn a_bill_pays_for_an_item_by_one_line_of_it_that_is_whole_and_current(
        lines in prop::collection::vec(some_line(), 1..6),
        since in 0..9_i64,
        renews in any::<bool>(),
    ) {
        let expected = lines.iter().any(|line| line.whole && line.from >= at(since));
        let bill = Invoice { lines, renews, ..bill() };
        prop_assert_eq!(bill.pays_for(&item(), &[item()], Some(at(since)), |_| false), expected);
    }
}
