//! Money that the seller gives back. It ends no subscription by itself.

use super::Books;
use super::model::{Charge, Invoice, Outcome, Refund, RefundStatus};
use crate::provider::refusal::Refusal;
use crate::provider::render;

impl Books {
    /// The charge that paid an invoice.
    pub fn paid_charge(&self, invoice: &str) -> Result<&Charge, Refusal> {
        let charge = |invoice: &Invoice| self.charges.get(invoice.charge.as_ref()?);
        let found = charge(self.invoice(invoice)?).filter(|charge| charge.outcome == Outcome::Succeeded);
        found.ok_or_else(|| Refusal::wrong_state(format!("No money was paid on invoice '{invoice}'.")))
    }

    /// Gives back `amount` of a charge in minor units, or what is left of it; answers the refund's id. A refund that is
    /// still on its way counts as given back, and so does one that fails later, until it does.
    pub fn give_back(&mut self, charge: &str, amount: Option<i64>, status: RefundStatus) -> Result<String, Refusal> {
        self.check_room(1)?;
        let paid = self.charge(charge)?;
        let left = if paid.outcome == Outcome::Succeeded { paid.amount - paid.refunded } else { 0 };
        let amount = amount.unwrap_or(left);
        if amount <= 0 || amount > left {
            return Err(Refusal::invalid("amount", format!("{left} is left to refund.")));
        }
        let id = self.ids.next("re");
        let paid = self.charge(charge)?;
        self.refunds.insert(Refund {
            id: id.clone(),
            charge: paid.id.clone(),
            payment_intent: paid.payment_intent.clone(),
            customer: paid.customer.clone(),
            amount,
            currency: paid.currency.clone(),
            status: if status.is_standing() { status } else { RefundStatus::Pending },
            created: self.now,
        });
        let made = id.clone();
        self.amend_charge(charge, "charge.refunded", |charge| {
            charge.refunded += amount;
            charge.refunds.push(made);
        });
        self.tell_refund(&id, "refund.created");
        if !status.is_standing() {
            self.set_refund(&id, status)?;
        }
        Ok(id)
    }

    /// A refund goes through after all, or does not: what failed is no longer given back. One that succeeded can still
    /// fail, when the bank sends the money back.
    pub fn set_refund(&mut self, id: &str, status: RefundStatus) -> Result<(), Refusal> {
        let refund = self.refund(id)?;
        if !refund.status.is_standing() || status == RefundStatus::Pending {
            return Err(Refusal::wrong_state(format!("This refund is {}.", refund.status.name())));
        }
        let (charge, amount) = (refund.charge.clone(), refund.amount);
        if let Some(refund) = self.refunds.get_mut(id) {
            refund.status = status;
        }
        self.tell_refund(id, "refund.updated");
        self.tell_refund(id, "charge.refund.updated");
        if !status.is_standing() {
            if status == RefundStatus::Failed {
                self.tell_refund(id, "refund.failed");
            }
            self.amend_charge(&charge, "charge.updated", |charge| charge.refunded -= amount);
        }
        Ok(())
    }

    /// Changes a charge and tells it, with what was different before.
    pub(super) fn amend_charge(&mut self, id: &str, kind: &str, change: impl FnOnce(&mut Charge)) {
        let before = self.charges.get(id).map(|charge| render::charge(charge, self, &self.view));
        if let Some(charge) = self.charges.get_mut(id) {
            change(charge);
        }
        let after = self.charges.get(id).map(|charge| render::charge(charge, self, &self.view));
        if let (Some(before), Some(after)) = (before, after) {
            let previous = render::previous_attributes(&before, &after);
            self.emit(kind, after, previous);
        }
    }

    fn tell_refund(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.refunds.get(id).map(|refund| render::refund(refund, &self.view)) {
            self.emit(kind, object, None);
        }
    }
}
