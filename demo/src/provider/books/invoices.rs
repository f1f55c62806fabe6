//! Invoices: drafted, finalized, then paid, failed, or set aside.

use super::Books;
use super::model::{Invoice, InvoiceStatus};
use crate::Timestamp;
use crate::provider::render;

impl Books {
    /// Writes down an invoice for the running period of a subscription, and tells nothing yet.
    pub(super) fn draft_invoice(&mut self, subscription: &str, reason: &'static str, amount: i64) -> String {
        let id = self.ids.next("in");
        let number = format!("SIM-{:04}", self.invoices.len() + 1);
        let (charge, payment_intent, created) = (self.ids.next("ch"), self.ids.next("pi"), self.now);
        if let Some(subscription) = self.subscriptions.get_mut(subscription) {
            subscription.latest_invoice = Some(id.clone());
            self.invoices.insert(Invoice {
                id: id.clone(),
                number,
                customer: subscription.customer.clone(),
                subscription: subscription.id.clone(),
                price: subscription.price.clone(),
                quantity: subscription.quantity,
                amount,
                reason,
                status: InvoiceStatus::Draft,
                attempts: 0,
                next_attempt: None,
                created,
                period: subscription.period,
                paid_at: None,
                refunded: 0,
                charge,
                payment_intent,
            });
        }
        id
    }

    /// Tells a drafted invoice, and makes it payable.
    pub(super) fn finalize_invoice(&mut self, id: &str) {
        self.tell_invoice(id, "invoice.created");
        self.set_invoice(id, |invoice| invoice.status = InvoiceStatus::Open);
        self.tell_invoice(id, "invoice.finalized");
    }

    /// The charge went through; an invoice over nothing needs none.
    pub(super) fn pay_invoice(&mut self, id: &str) {
        let now = self.now;
        self.set_invoice(id, |invoice| {
            invoice.status = InvoiceStatus::Paid;
            invoice.paid_at = Some(now);
            invoice.next_attempt = None;
            invoice.attempts += u32::from(invoice.amount > 0);
        });
        if let Some(charge) = self.invoices.get(id).filter(|invoice| invoice.amount > 0).map(render::charge) {
            self.emit("charge.succeeded", charge, None);
        }
        self.tell_invoice(id, "invoice.paid");
        self.tell_invoice(id, "invoice.payment_succeeded");
    }

    /// The card was declined; `next` is when it will be tried again.
    pub(super) fn fail_invoice(&mut self, id: &str, next: Option<Timestamp>) {
        self.set_invoice(id, |invoice| {
            invoice.attempts += 1;
            invoice.next_attempt = next;
        });
        self.tell_invoice(id, "invoice.payment_failed");
    }

    /// What becomes of an invoice while collection is paused (`behavior` of Stripe's `pause_collection`).
    pub(super) fn set_aside_invoice(&mut self, id: &str, behavior: &str) {
        let (status, kind) = match behavior {
            "void" => (InvoiceStatus::Void, "invoice.voided"),
            "mark_uncollectible" => (InvoiceStatus::Uncollectible, "invoice.marked_uncollectible"),
            _ => return self.tell_invoice(id, "invoice.created"),
        };
        self.finalize_invoice(id);
        self.set_invoice(id, |invoice| invoice.status = status);
        self.tell_invoice(id, kind);
    }

    fn set_invoice(&mut self, id: &str, change: impl FnOnce(&mut Invoice)) {
        if let Some(invoice) = self.invoices.get_mut(id) {
            change(invoice);
        }
    }

    fn tell_invoice(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.invoices.get(id).map(|invoice| render::invoice(invoice, &self.view)) {
            self.emit(kind, object, None);
        }
    }
}
