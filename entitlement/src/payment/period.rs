//! Which bills a period of an item was paid by, and whether what they took in has gone back.

use super::{Invoice, Returned};
use crate::Timestamp;
use crate::subscription::{Item, Setback};

/// The running period of one item of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period<'a> {
    pub item: &'a Item,
    /// All items of the subscription.
    pub items: &'a [Item],
    /// When it began.
    pub since: Option<Timestamp>,
}

/// A bill, and what went back of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill<'a> {
    pub invoice: &'a Invoice,
    /// None where nothing went back.
    pub returned: Option<Returned<'a>>,
}

impl Period<'_> {
    /// That all of what the period was paid by went back; `None` when something of it did not, or is not known to. `is_alike` says
    /// of the price of a line that no item has whether the item may have had it: a fee pays for no period.
    ///
    /// The order of the bills does not matter.
    #[must_use]
    pub fn loss(&self, bills: &[Bill<'_>], is_alike: impl Fn(&str) -> bool) -> Option<Setback> {
        let losses: Option<Vec<Setback>> =
            self.paid_by(bills, is_alike).into_iter().map(|bill| bill.returned.as_ref()?.loss()).collect();
        losses?.into_iter().reduce(together)
    }

    /// That the bill for the period was written off, and no other one for it was paid.
    ///
    /// The order of the bills does not matter.
    #[must_use]
    pub fn written_off(&self, bills: &[Bill<'_>], is_alike: impl Fn(&str) -> bool) -> Option<Setback> {
        let Period { item, items, since } = *self;
        let pays = |invoice: &Invoice| invoice.renews && invoice.pays_for(item, items, since, &is_alike);
        let own: Vec<&Invoice> = bills.iter().map(|bill| bill.invoice).filter(|invoice| pays(invoice)).collect();
        if own.iter().any(|invoice| invoice.is_paid()) {
            return None;
        }
        let owed = own.into_iter().filter(|invoice| !invoice.voided);
        let marked = owed.filter_map(|invoice| Some((invoice.written_off_at?, invoice.covers_from)));
        let (at, covers_from) = marked.max()?;
        Some(Setback::WrittenOff { at, covers_from: since.map_or(covers_from, |since| since.max(covers_from)) })
    }

    /// The bills of the period: those that are for it as a whole. Where the anchor was moved, none begins with the period: then those
    /// that reach into it and began last. What was charged for usage beside them pays for the period only where nothing else does.
    fn paid_by<'b, 'c>(&self, bills: &'b [Bill<'c>], is_alike: impl Fn(&str) -> bool) -> Vec<&'b Bill<'c>> {
        let counts =
            |bill: &Bill<'_>| bill.invoice.took_in() > 0 && (bill.returned.is_some() || bill.invoice.is_paid());
        let begun = |bill: &'b Bill<'c>| Some((bill.invoice.begins(self, &is_alike)?, bill));
        let begun: Vec<(Timestamp, &Bill<'_>)> = bills.iter().filter(|bill| counts(bill)).filter_map(begun).collect();
        let Some(last) = begun.iter().map(|(from, _)| *from).max() else { return Vec::new() };
        let first = self.since.map_or(last, |since| since.min(last));
        let of_period = begun.into_iter().filter(|(from, _)| first <= *from).map(|(_, bill)| bill);
        let (whole, usage): (Vec<_>, Vec<_>) = of_period.partition(|bill| bill.invoice.renews);
        if whole.is_empty() { usage } else { whole }
    }
}

/// Both went back: nothing is left once the later one has.
fn together(one: Setback, other: Setback) -> Setback {
    match (one, other) {
        (Setback::Refunded { at, covers_from }, Setback::Refunded { at: later, covers_from: other }) => {
            Setback::Refunded { at: at.max(later), covers_from: covers_from.max(other) }
        }
        (
            Setback::Refunded { at, covers_from } | Setback::Lost { at, covers_from },
            Setback::Refunded { at: later, covers_from: other } | Setback::Lost { at: later, covers_from: other },
        ) => Setback::Lost { at: at.max(later), covers_from: covers_from.max(other) },
        (one, _) => one,
    }
}
