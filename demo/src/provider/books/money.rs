//! Money that goes back: refunds and disputes. Neither ends a subscription by itself.

use serde_json::json;

use super::Books;
use super::model::{Invoice, InvoiceStatus};
use crate::provider::refusal::Refusal;
use crate::provider::render;

impl Books {
    /// The invoice that this charge paid.
    pub fn invoice_of_charge(&self, charge: &str) -> Result<&Invoice, Refusal> {
        let paid = |invoice: &&Invoice| invoice.charge == charge && invoice.status == InvoiceStatus::Paid;
        self.invoices.iter().find(paid).ok_or_else(|| Refusal::no_such("charge", charge, "id"))
    }

    /// Gives back `amount` of a paid invoice in minor units, or what is left of it.
    pub fn refund(&mut self, invoice: &str, amount: Option<i64>) -> Result<(), Refusal> {
        let paid = self.paid(invoice)?;
        let left = paid.amount - paid.refunded;
        let amount = amount.unwrap_or(left);
        if amount <= 0 || amount > left {
            return Err(Refusal::invalid("amount", format!("{left} is left to refund.")));
        }
        let before = render::charge(paid);
        let Some(paid) = self.invoices.get_mut(invoice) else { return Ok(()) };
        paid.refunded += amount;
        let charge = render::charge(paid);
        let previous = render::previous_attributes(&before, &charge);
        let refund = json!({
            "id": self.ids.next("re"),
            "object": "refund",
            "amount": amount,
            "charge": charge["id"],
            "created": self.now.timestamp(),
            "currency": charge["currency"],
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": "requested_by_customer",
            "status": "succeeded",
        });
        self.emit("charge.refunded", charge, previous);
        self.emit("refund.created", refund, None);
        Ok(())
    }

    /// The cardholder's bank disputes a paid invoice, or has decided on it: `status` is Stripe's, such as
    /// `needs_response`, `won` or `lost`. The dispute names only a charge and a payment intent, as Stripe's does.
    pub fn dispute(&mut self, invoice: &str, status: &str) -> Result<(), Refusal> {
        let paid = self.paid(invoice)?;
        let dispute = json!({
            "id": format!("du_{}", paid.charge.trim_start_matches("ch_")),
            "object": "dispute",
            "amount": paid.amount,
            "charge": paid.charge,
            "created": self.now.timestamp(),
            "currency": paid.price.currency,
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": {},
            "payment_intent": paid.payment_intent,
            "reason": "fraudulent",
            "status": status,
        });
        let kind = match status {
            "won" | "lost" | "warning_closed" => "charge.dispute.closed",
            _ => "charge.dispute.created",
        };
        self.emit(kind, dispute, None);
        Ok(())
    }

    fn paid(&self, invoice: &str) -> Result<&Invoice, Refusal> {
        let found = self.invoice(invoice)?;
        if found.status != InvoiceStatus::Paid || found.amount == 0 {
            return Err(Refusal::wrong_state(format!("No money was paid on invoice '{invoice}'.")));
        }
        Ok(found)
    }
}
