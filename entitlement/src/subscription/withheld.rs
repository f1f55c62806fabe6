//! Why a subscription gives nothing although it is not over, and what brings it back.

use serde::Serialize;

use super::{Dues, Grace, Hold, Item, Policy, Setback, State, Subscription};
use crate::Timestamp;

/// What takes access from a subscription that is not over. The first that applies is told: each is of no use before the one above it
/// is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// The provider no longer has the customer.
    CustomerGone,
    /// The money for the period was given back.
    Refunded,
    /// The bank has taken the money for the period back for good.
    DisputeLost,
    /// Its price is not sold here, so no catalog says what it gives.
    UnknownPrice,
    /// The bank has taken a payment back for now.
    Disputed,
    /// Collection is paused.
    Paused,
    /// The bill for the period was written off: it is no longer collected, and can be paid.
    WrittenOff,
    /// The provider gave up collecting.
    Unpaid,
    /// A payment failed, and the grace is over.
    PastDue,
    /// The first payment has not gone through.
    Incomplete,
    /// The period is over, and no renewal was told.
    NotRenewed,
    /// The provider gives it a status that this build does not know.
    UnknownStatus,
}

/// What the owner of a subscription can do to have access again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WayBack {
    BuyAgain,
    Resume,
    UpdateCard,
    /// A new card is not charged: the bill itself is to be paid.
    PayInvoice,
    /// Nothing: others have to act.
    Wait,
}

impl Withheld {
    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerGone => "customer_gone",
            Self::Refunded => "refunded",
            Self::DisputeLost => "dispute_lost",
            Self::UnknownPrice => "unknown_price",
            Self::Disputed => "disputed",
            Self::Paused => "paused",
            Self::WrittenOff => "written_off",
            Self::Unpaid => "unpaid",
            Self::PastDue => "past_due",
            Self::Incomplete => "incomplete",
            Self::NotRenewed => "not_renewed",
            Self::UnknownStatus => "unknown_status",
        }
    }

    /// What brings access back.
    #[must_use]
    pub const fn way_back(self) -> WayBack {
        match self {
            Self::CustomerGone | Self::Refunded | Self::DisputeLost => WayBack::BuyAgain,
            Self::Paused => WayBack::Resume,
            Self::WrittenOff => WayBack::PayInvoice,
            Self::Unpaid | Self::PastDue | Self::Incomplete => WayBack::UpdateCard,
            Self::UnknownPrice | Self::Disputed | Self::NotRenewed | Self::UnknownStatus => WayBack::Wait,
        }
    }
}

impl WayBack {
    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuyAgain => "buy_again",
            Self::Resume => "resume",
            Self::UpdateCard => "update_card",
            Self::PayInvoice => "pay_invoice",
            Self::Wait => "wait",
        }
    }
}

impl Subscription {
    /// Why it gives no access to an item at `now`; `None` when it does, or is over.
    #[must_use]
    pub fn withheld(
        &self,
        item: &Item,
        dues: &Dues,
        (grace, policy): (&Grace, &Policy),
        setbacks: &[Setback],
        now: Timestamp,
    ) -> Option<Withheld> {
        let access = self.access_to(item, dues, (grace, policy), setbacks);
        if self.is_over(now) || access.is_some_and(|access| access.until.is_none_or(|until| now < until)) {
            return None;
        }
        // Nothing was paid that could go back, and nothing goes on before it is.
        let is_incomplete = self.state == State::Incomplete;
        let counts = |setback: &Setback| !is_incomplete || matches!(setback, Setback::CustomerGone { .. });
        let cuts = setbacks.iter().filter(|setback| counts(setback));
        let cuts = cuts.filter(|setback| self.cut(item, **setback, policy).is_some_and(|at| at <= now));
        let cut = cuts.map(|setback| match setback {
            Setback::CustomerGone { .. } => Withheld::CustomerGone,
            Setback::Refunded { .. } => Withheld::Refunded,
            Setback::Lost { .. } => Withheld::DisputeLost,
            Setback::Disputed { .. } => Withheld::Disputed,
            Setback::WrittenOff { .. } => Withheld::WrittenOff,
        });
        let of_state = match self.state {
            State::Incomplete => Withheld::Incomplete,
            _ if self.collection_paused && policy.pause == Hold::Suspend => Withheld::Paused,
            State::Paused => Withheld::Paused,
            State::Unpaid => Withheld::Unpaid,
            State::PastDue { .. } => Withheld::PastDue,
            State::Unknown => Withheld::UnknownStatus,
            State::Trialing { .. }
            | State::Active { .. }
            | State::Lapsed { .. }
            | State::WrittenOff { .. }
            | State::Ended { .. } => Withheld::NotRenewed,
        };
        Some(cut.min().unwrap_or(of_state))
    }
}
