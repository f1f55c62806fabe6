//! What went back of one bill, held against what it took in.

use super::{Dispute, DisputeState, Payment, Refund, RefundState};
use crate::Timestamp;
use crate::subscription::Setback;

/// One payment, and what is known to have gone back of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    pub payment: &'a Payment,
    pub refunds: &'a [Refund],
    pub disputes: &'a [Dispute],
}

/// What went back of the payments for one period. A payment of which nothing went back may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned<'a> {
    pub parts: &'a [Part<'a>],
    /// Minor units for which the bill of the period stands.
    pub took_in: i64,
    /// The currency of the bill.
    pub currency: Option<&'a str>,
    /// When the period that it paid for began.
    pub covers_from: Timestamp,
}

impl Returned<'_> {
    /// What it does to what was paid for.
    #[must_use]
    pub fn setbacks(&self) -> Vec<Setback> {
        self.loss().into_iter().chain(self.held()).collect()
    }

    /// What banks have taken back for now.
    pub fn held(&self) -> impl Iterator<Item = Setback> {
        let disputes = self.parts.iter().flat_map(|part| part.disputes);
        let open = disputes.filter(|dispute| dispute.state == DisputeState::Open);
        open.map(|dispute| Setback::Disputed { since: dispute.opened_at })
    }

    /// That everything went back; `None` when it did not, or is not known to.
    #[must_use]
    pub fn loss(&self) -> Option<Setback> {
        self.loss_below(1)
    }

    /// That so much went back that less than `least` minor units are left; `None` when it did not, or is not known to.
    #[must_use]
    pub fn loss_below(&self, least: i64) -> Option<Setback> {
        let covers_from = self.covers_from;
        let of_currency = |part: &&Part<'_>| match (&part.payment.currency, self.currency) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            _ => true,
        };
        let (mut refunded, mut back) = (0_i64, 0_i64);
        let (mut refunded_at, mut back_at) = (None, None);
        for part in self.parts.iter().filter(of_currency) {
            let whole = part.payment.amount;
            let within = |amount: i64| if whole > 0 { amount.min(whole) } else { amount };
            let (of_refunds, lost) = (within(part.refunded()), part.lost(self.took_in));
            refunded = refunded.saturating_add(of_refunds);
            back = back.saturating_add(within(of_refunds.saturating_add(lost)));
            if of_refunds > 0 {
                refunded_at = refunded_at.max(part.refunded_at());
            }
            if lost > 0 {
                back_at = back_at.max(part.lost_at());
            }
        }
        if self.took_in <= 0 {
            return None;
        }
        let is_lost = |back: i64| back > 0 && self.took_in.saturating_sub(back) < least;
        if is_lost(refunded) {
            return refunded_at.map(|at| Setback::Refunded { at, covers_from });
        }
        is_lost(back).then_some(())?;
        back_at.max(refunded_at).map(|at| Setback::Lost { at, covers_from })
    }
}

impl Part<'_> {
    /// Minor units that were given back: neither those on their way nor those of a refund that failed.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let sum = |state| -> i64 {
            let of_state = self.refunds.iter().filter(|refund| refund.state == state);
            of_state.map(|refund| refund.amount).fold(0, i64::saturating_add)
        };
        // The payment counts what is on its way, and does not always stop when it fails.
        let not_back = sum(RefundState::Failed).saturating_add(sum(RefundState::Pending));
        let told = self.payment.refunded.saturating_sub(not_back);
        told.max(sum(RefundState::Made)).max(0)
    }

    /// When the last of it was given back: where single refunds are known, they are dated better than their sum.
    fn refunded_at(&self) -> Option<Timestamp> {
        let made = self.refunds.iter().filter(|refund| refund.state == RefundState::Made);
        made.map(|refund| refund.at).max().or(self.payment.refunded_at)
    }

    /// Minor units that banks have taken back for good; of what is not told, all of the payment, or of the bill.
    fn lost(&self, took_in: i64) -> i64 {
        let whole = if self.payment.amount > 0 { self.payment.amount } else { took_in };
        let lost = self.disputes.iter().filter(|dispute| dispute.state == DisputeState::Lost);
        lost.map(|dispute| if dispute.amount > 0 { dispute.amount } else { whole }).fold(0, i64::saturating_add)
    }

    fn lost_at(&self) -> Option<Timestamp> {
        let lost = self.disputes.iter().filter(|dispute| dispute.state == DisputeState::Lost);
        lost.map(|dispute| dispute.opened_at).max()
    }
}
