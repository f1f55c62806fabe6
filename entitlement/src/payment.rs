//! Money that came and money that went back: invoices, payments, refunds and disputes.
//!
//! Each is known in pieces that arrive in any order. Two pieces of one thing merge by a rule under which neither order
//! nor repetition matters, so that what is known at the end is the same whatever arrived when.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::subscription::Setback;

/// A bill for a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub id: String,
    pub subscription: String,
    pub customer: String,
    /// Whether it is for a whole period, the first or a later one, and not for a change within one.
    pub renews: bool,
    /// When the period that it pays for began; else when it was made.
    pub covers_from: Timestamp,
    /// Minor units that were paid.
    pub paid: i64,
    /// How often a payment was tried.
    pub attempts: i32,
    /// When a payment first failed.
    pub failed_at: Option<Timestamp>,
}

/// A payment by its id: Stripe's payment intent (the charge where there is none), Polar's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub id: String,
    pub customer: Option<String>,
    /// The invoice that it paid.
    pub invoice: Option<String>,
    /// Minor units; 0 when it was not told.
    pub amount: i64,
    pub made_at: Option<Timestamp>,
    /// Minor units that went back in all, as the payment itself tells.
    pub refunded: i64,
    /// The first moment at which so much had gone back.
    pub refunded_at: Option<Timestamp>,
}

/// One transfer of money back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub payment: String,
    /// Minor units.
    pub amount: i64,
    pub state: RefundState,
    pub at: Timestamp,
}

/// Where a refund stands; one that is made may still fail, and what failed stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    Pending,
    Made,
    Failed,
}

/// A cardholder's bank takes a payment back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub payment: String,
    pub state: DisputeState,
    pub opened_at: Timestamp,
    /// The provider's clock when this was told.
    pub as_of: Timestamp,
}

/// Where a dispute stands, in the order in which one may go. An inquiry takes no money: it is no dispute yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    Inquiry,
    Open,
    Lost,
    Won,
}

impl Invoice {
    /// What both pieces tell together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        // Of what cannot differ, any choice that does not depend on the order will do.
        Self {
            subscription: self.subscription.max(other.subscription),
            customer: self.customer.max(other.customer),
            renews: self.renews || other.renews,
            covers_from: self.covers_from.max(other.covers_from),
            paid: self.paid.max(other.paid),
            attempts: self.attempts.max(other.attempts),
            failed_at: first(self.failed_at, other.failed_at),
            id: self.id,
        }
    }
}

impl Payment {
    /// What both pieces tell together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let refunded_at = match self.refunded.cmp(&other.refunded) {
            std::cmp::Ordering::Less => other.refunded_at,
            std::cmp::Ordering::Equal => first(self.refunded_at, other.refunded_at),
            std::cmp::Ordering::Greater => self.refunded_at,
        };
        Self {
            customer: self.customer.max(other.customer),
            invoice: self.invoice.max(other.invoice),
            amount: self.amount.max(other.amount),
            made_at: first(self.made_at, other.made_at),
            refunded: self.refunded.max(other.refunded),
            refunded_at,
            id: self.id,
        }
    }
}

impl Refund {
    /// What both pieces tell together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        Self {
            payment: self.payment.max(other.payment),
            amount: self.amount.max(other.amount),
            state: self.state.max(other.state),
            at: self.at.min(other.at),
            id: self.id,
        }
    }
}

impl Dispute {
    /// What both pieces tell together: the later decision; until there is one, that money was taken.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let rank = |dispute: &Self| {
            let is_decided = dispute.state >= DisputeState::Lost;
            (is_decided.then_some(dispute.as_of), dispute.state, dispute.as_of)
        };
        let later = rank(&self).max(rank(&other));
        Self {
            payment: self.payment.max(other.payment),
            state: later.1,
            opened_at: self.opened_at.min(other.opened_at),
            as_of: later.2,
            id: self.id,
        }
    }
}

/// What went back of one payment for one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned<'a> {
    pub payment: &'a Payment,
    pub refunds: &'a [Refund],
    pub disputes: &'a [Dispute],
    /// When the period that it paid for began.
    pub covers_from: Timestamp,
}

impl Returned<'_> {
    /// What it does to the subscription that was paid for.
    #[must_use]
    pub fn setbacks(&self) -> Vec<Setback> {
        let covers_from = self.covers_from;
        let refunded = self.full_refund().map(|at| Setback::Refunded { at, covers_from });
        let disputed = self.disputes.iter().filter_map(|dispute| match dispute.state {
            DisputeState::Open => Some(Setback::Disputed { since: dispute.opened_at }),
            DisputeState::Lost => Some(Setback::Lost { at: dispute.opened_at, covers_from }),
            DisputeState::Inquiry | DisputeState::Won => None,
        });
        refunded.into_iter().chain(disputed).collect()
    }

    /// When all of it had gone back; `None` when it has not.
    fn full_refund(&self) -> Option<Timestamp> {
        let sum = |state| -> i64 {
            let of_state = self.refunds.iter().filter(|refund| refund.state == state);
            of_state.map(|refund| refund.amount).fold(0, i64::saturating_add)
        };
        // The payment counts what is on its way, and does not always stop when it fails.
        let not_back = sum(RefundState::Failed).saturating_add(sum(RefundState::Pending));
        let told = self.payment.refunded.saturating_sub(not_back);
        let back = told.max(sum(RefundState::Made));
        let made = self.refunds.iter().filter(|refund| refund.state == RefundState::Made);
        let last = made.map(|refund| refund.at).max();
        (self.payment.amount > 0 && back >= self.payment.amount).then_some(())?;
        // Where single refunds are known, they are dated better than their sum.
        last.or(self.payment.refunded_at)
    }
}

fn first(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::seconds(second)
    }

    fn payment(refunded: i64, refunded_at: Option<i64>) -> Payment {
        Payment {
            id: "pi_1".into(),
            customer: Some("cus_1".into()),
            invoice: None,
            amount: 700,
            made_at: Some(at(0)),
            refunded,
            refunded_at: refunded_at.map(at),
        }
    }

    fn refund(id: &str, amount: i64, state: RefundState, second: i64) -> Refund {
        Refund { id: id.into(), payment: "pi_1".into(), amount, state, at: at(second) }
    }

    fn dispute(state: DisputeState, second: i64) -> Dispute {
        Dispute { id: "du_1".into(), payment: "pi_1".into(), state, opened_at: at(second), as_of: at(second) }
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
            (
                "once more",
                payment(700, Some(5)),
                vec![refund("a", 700, Failed, 4), refund("b", 700, Made, 9)],
                refunded(9),
            ),
            ("a payment of nothing", Payment { amount: 0, ..payment(0, None) }, vec![], vec![]),
        ];
        for (what, payment, refunds, expected) in cases {
            let returned = Returned { payment: &payment, refunds: &refunds, disputes: &[], covers_from: at(1) };
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
            let returned = Returned { payment: &payment, refunds: &[], disputes: &disputes, covers_from: at(1) };
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
            invoices in pieces((any::<bool>(), 0..9_i64, 0..3_i32, some_time()).prop_map(
                |(renews, second, attempts, failed_at)| Invoice {
                    id: "in_1".into(), subscription: "sub_1".into(), customer: "cus_1".into(), renews,
                    covers_from: at(second), paid: i64::from(attempts), attempts, failed_at,
                },
            )),
        ) {
            let (one, other) = both_ways(&payments, Payment::merged);
            prop_assert_eq!(one, other);
            let (one, other) = both_ways(&disputes, Dispute::merged);
            prop_assert_eq!(one, other);
            let (one, other) = both_ways(&invoices, Invoice::merged);
            prop_assert_eq!(one, other);
        }
    }
}
