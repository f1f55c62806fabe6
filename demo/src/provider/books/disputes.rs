//! Money that the cardholder's bank takes back, or only asks about. It ends no subscription by itself.

use super::Books;
use super::model::{Dispute, DisputeStatus};
use crate::provider::refusal::Refusal;
use crate::provider::render;

impl Books {
    /// The bank disputes a paid invoice, asks about it, or decides on it; answers the dispute's id. A status that ends a
    /// dispute which was not there yet begins and ends it.
    pub fn dispute_invoice(&mut self, invoice: &str, status: DisputeStatus) -> Result<String, Refusal> {
        let charge = self.paid_charge(invoice)?;
        let (charge, open) = (charge.id.clone(), charge.dispute.clone());
        if let Some(dispute) = open {
            self.set_dispute(&dispute, status)?;
            return Ok(dispute);
        }
        let first = match status {
            status if !status.is_closed() => status,
            DisputeStatus::WarningClosed => DisputeStatus::WarningNeedsResponse,
            _ => DisputeStatus::NeedsResponse,
        };
        let dispute = self.open_dispute(&charge, first)?;
        if first != status {
            self.set_dispute(&dispute, status)?;
        }
        Ok(dispute)
    }

    fn open_dispute(&mut self, charge: &str, status: DisputeStatus) -> Result<String, Refusal> {
        self.check_room(1)?;
        let paid = self.charge(charge)?;
        let (amount, id) = (paid.amount, self.ids.next("du"));
        let paid = self.charge(charge)?;
        self.disputes.insert(Dispute {
            id: id.clone(),
            charge: paid.id.clone(),
            payment_intent: paid.payment_intent.clone(),
            customer: paid.customer.clone(),
            amount,
            currency: paid.currency.clone(),
            status,
            created: self.now,
            withdrawn: 0,
        });
        let named = Some(id.clone());
        self.amend_charge(charge, "charge.updated", |charge| charge.dispute = named);
        self.tell_dispute(&id, "charge.dispute.created");
        if !status.is_warning() {
            self.move_funds(&id, amount);
        }
        Ok(id)
    }

    /// Moves a dispute on. A question of the bank can become a real dispute, but not the other way round, and what is
    /// decided stays.
    pub fn set_dispute(&mut self, id: &str, status: DisputeStatus) -> Result<(), Refusal> {
        let dispute = self.dispute(id)?;
        let (old, amount, withdrawn) = (dispute.status, dispute.amount, dispute.withdrawn);
        if old.is_closed() || (status.is_warning() && !old.is_warning()) {
            return Err(Refusal::wrong_state(format!("This dispute is {}.", old.name())));
        }
        if let Some(dispute) = self.disputes.get_mut(id) {
            dispute.status = status;
        }
        if !status.is_warning() && withdrawn == 0 {
            self.move_funds(id, amount);
        }
        self.tell_dispute(id, if status.is_closed() { "charge.dispute.closed" } else { "charge.dispute.updated" });
        if status == DisputeStatus::Won {
            self.move_funds(id, 0);
        }
        Ok(())
    }

    fn move_funds(&mut self, id: &str, withdrawn: i64) {
        if let Some(dispute) = self.disputes.get_mut(id) {
            dispute.withdrawn = withdrawn;
        }
        let kind = if withdrawn > 0 { "charge.dispute.funds_withdrawn" } else { "charge.dispute.funds_reinstated" };
        self.tell_dispute(id, kind);
    }

    fn tell_dispute(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.disputes.get(id).map(|dispute| render::dispute(dispute, &self.view)) {
            self.emit(kind, object, None);
        }
    }
}
