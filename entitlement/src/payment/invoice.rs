//! A bill for a subscription: which periods of which items it is for, and what it took in.

use serde::{Deserialize, Serialize};

use super::{Period, first};
use crate::Timestamp;
use crate::subscription::Item;

/// A bill for a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub id: String,
    pub subscription: String,
    pub customer: String,
    /// Whether it is for a whole period, the first or a later one, and neither for a change within one nor for usage.
    pub renews: bool,
    /// When the period that it pays for began; else when it was made.
    pub covers_from: Timestamp,
    /// Minor units that were paid.
    pub paid: i64,
    /// Minor units that came from what the customer had at the provider already; below 0 what was owed from before and paid with it.
    pub balance: i64,
    /// Three lower-case letters (ISO 4217).
    pub currency: Option<String>,
    /// Whether nothing of it is left to be paid.
    pub settled: bool,
    /// Sorted by their ids; none where the provider does not tell them.
    pub lines: Vec<Line>,
    /// How often a payment was tried.
    pub attempts: i32,
    /// When a payment first failed.
    pub failed_at: Option<Timestamp>,
    /// Whether the bank wanted to hear from the buyer before it paid.
    pub needs_action: bool,
    /// When its seller wrote it off: it is no longer collected, and may be paid all the same.
    pub written_off_at: Option<Timestamp>,
    /// Whether its seller took it back: nothing is owed for it, also where it was written off before.
    pub voided: bool,
}

/// What one line of a bill is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    /// The provider's id of the subscription's item.
    pub item: Option<String>,
    pub price: Option<String>,
    pub from: Timestamp,
    pub until: Option<Timestamp>,
    /// Whether it is for a whole period, and not for a change within one.
    pub whole: bool,
    /// Minor units; below 0 for what is given back of an earlier bill.
    pub amount: i64,
}

impl Line {
    /// Whether it is for an item of a subscription that has these items. A line of a price that no item has any more is of an item
    /// with another price now; one of an item that was taken off is of the one that was added with its price.
    #[must_use]
    pub fn is_of(&self, item: &Item, items: &[Item]) -> bool {
        // The price of another item is never a price that this one had.
        if self.price.as_ref().is_some_and(|price| *price != item.price && items.iter().any(|one| one.price == *price))
        {
            return false;
        }
        match (&self.item, &item.id, &self.price) {
            (Some(own), Some(id), _) if own == id => true,
            (Some(own), _, _) if items.iter().any(|one| one.id.as_ref() == Some(own)) => false,
            (Some(_), Some(_), None) => false,
            (_, _, Some(price)) => *price == item.price || items.iter().all(|item| item.price != *price),
            (_, _, None) => true,
        }
    }

    /// Whether it is for time after `since`, and for nothing before it.
    fn is_after(&self, since: Option<Timestamp>) -> bool {
        since.is_none_or(|since| since <= self.from) && self.until.is_none_or(|until| self.from < until)
    }

    /// Whether it is for time after `since`, whenever it began.
    fn reaches(&self, since: Option<Timestamp>) -> bool {
        self.is_after(since)
            || self.until.is_some_and(|until| self.from < until && since.is_none_or(|since| since < until))
    }
}

impl Invoice {
    /// What both pieces tell together.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        // Of what cannot differ, any choice that does not depend on the order will do.
        let (paid, balance) = (self.paid, self.balance).max((other.paid, other.balance));
        let mut lines: Vec<Line> = self.lines.into_iter().chain(other.lines).collect();
        lines.sort();
        // Of two words about one line the greater: neither order nor repetition matters.
        lines.reverse();
        lines.dedup_by(|one, kept| one.id == kept.id);
        lines.reverse();
        Self {
            subscription: self.subscription.max(other.subscription),
            customer: self.customer.max(other.customer),
            renews: self.renews || other.renews,
            covers_from: self.covers_from.max(other.covers_from),
            paid,
            balance,
            currency: self.currency.max(other.currency),
            settled: self.settled || other.settled,
            lines,
            attempts: self.attempts.max(other.attempts),
            failed_at: first(self.failed_at, other.failed_at),
            needs_action: self.needs_action || other.needs_action,
            written_off_at: first(self.written_off_at, other.written_off_at),
            voided: self.voided || other.voided,
            id: self.id,
        }
    }

    /// Minor units for which it stands: what was paid, and what came from a balance.
    #[must_use]
    pub fn took_in(&self) -> i64 {
        self.paid.saturating_add(self.balance).max(0)
    }

    /// Whether it was paid. Of bills that were kept before their lines were, only what was paid is known.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.settled || (self.lines.is_empty() && self.paid > 0)
    }

    /// Whether it is for the item's period that began at `since`, or a later one, as a whole. A line of a price that no item has
    /// counts where `is_alike` says that the item may have had it: a fee pays for no period.
    #[must_use]
    pub fn pays_for(
        &self,
        item: &Item,
        items: &[Item],
        since: Option<Timestamp>,
        is_alike: impl Fn(&str) -> bool,
    ) -> bool {
        if self.lines.is_empty() {
            return self.renews && since.is_none_or(|since| since <= self.covers_from);
        }
        let is_priced = |line: &Line| line.price.as_ref().is_none_or(|price| *price == item.price || is_alike(price));
        let mut whole = self.lines.iter().filter(|line| line.whole && line.is_after(since));
        whole.any(|line| line.is_of(item, items) && is_priced(line))
    }

    /// When the time began that it is for as a whole, where that reaches into the period. The prices of its lines count as in
    /// [`Self::pays_for`].
    pub(super) fn begins(&self, period: &Period<'_>, is_alike: impl Fn(&str) -> bool) -> Option<Timestamp> {
        let Period { item, items, since } = *period;
        if self.lines.is_empty() {
            return self.pays_for(item, items, since, is_alike).then_some(self.covers_from);
        }
        let is_priced = |line: &Line| line.price.as_ref().is_none_or(|price| *price == item.price || is_alike(price));
        let whole = self.lines.iter().filter(|line| line.whole && line.reaches(since));
        whole.filter(|line| line.is_of(item, items) && is_priced(line)).map(|line| line.from).max()
    }

    /// Whether it is for nothing but changes within a period.
    #[must_use]
    pub fn is_for_a_change(&self) -> bool {
        if self.lines.is_empty() { !self.renews } else { self.lines.iter().all(|line| !line.whole) }
    }
}
