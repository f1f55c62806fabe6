//! Invoices: drafted, finalized, then paid, failed, or set aside; each try to pay is a charge.

use super::Books;
use super::model::{Card, Charge, Invoice, InvoiceStatus, Items, Line, Outcome, PauseBehavior, Period, Source, Status};
use crate::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::{Shape, Telling};

/// A whole period of every item.
pub(super) fn period_lines(items: &Items) -> Vec<Line> {
    let line = |item: &super::model::Item| Line {
        description: format!("{} × {}", item.quantity, item.price.product_name()),
        amount: item.amount(),
        quantity: item.quantity,
        source: Source::Period { item: item.id.clone(), price: item.price.clone() },
    };
    items.iter().map(line).collect()
}

impl Books {
    /// Writes down an invoice for the running period of a subscription, and tells nothing yet.
    pub(super) fn draft_invoice(&mut self, subscription: &str, reason: &'static str, lines: Vec<Line>) -> String {
        let Some(own) = self.subscriptions.get(subscription) else { return String::new() };
        let (customer, period, metadata) = (own.customer.clone(), own.period, own.metadata.clone());
        let currency = own.items.first().price.currency.clone();
        let mut invoice = self.blank_invoice(customer, currency, period);
        invoice.subscription = Some(subscription.to_owned());
        invoice.subscription_metadata = metadata;
        invoice.reason = reason;
        let id = self.write_invoice(invoice, lines);
        let latest = Some(id.clone());
        self.set_subscription(subscription, |subscription| subscription.latest_invoice = latest);
        id
    }

    fn blank_invoice(&mut self, customer: String, currency: String, period: Period) -> Invoice {
        Invoice {
            id: self.ids.next("in"),
            number: format!("SIM-{:04}", self.invoices.len() + 1),
            customer,
            subscription: None,
            subscription_metadata: [].into(),
            lines: Vec::new(),
            currency,
            amount: 0,
            reason: "manual",
            status: InvoiceStatus::Draft,
            attempts: 0,
            next_attempt: None,
            created: self.now,
            period,
            paid_at: None,
            payment_intent: self.ids.next("pi"),
            payment: self.ids.next("inpay"),
            charge: None,
        }
    }

    fn write_invoice(&mut self, mut invoice: Invoice, lines: Vec<Line>) -> String {
        invoice.amount = lines.iter().map(|line| line.amount).sum();
        invoice.lines = lines;
        let id = invoice.id.clone();
        self.payments.insert(invoice.payment_intent.clone(), id.clone());
        self.payments.insert(invoice.payment.clone(), id.clone());
        self.invoices.insert(invoice);
        id
    }

    /// Bills a customer once, outside any subscription, and charges them.
    pub fn bill(&mut self, customer: &str, amount: i64, description: &str) -> Result<String, Refusal> {
        self.check_room(1)?;
        self.customer(customer, "customer")?;
        if amount <= 0 {
            return Err(Refusal::invalid("amount", "This value must be greater than or equal to 1."));
        }
        let currency = self.prices.first().map_or_else(|| "usd".to_owned(), |price| price.currency.clone());
        let period = Period { start: self.now, end: self.now };
        let invoice = self.blank_invoice(customer.to_owned(), currency, period);
        let source = Source::Single;
        let id = self
            .write_invoice(invoice, vec![Line { description: description.to_owned(), amount, quantity: 1, source }]);
        self.finalize_invoice(&id);
        match self.card(customer) {
            Card::Good => self.pay_invoice(&id),
            Card::Declined | Card::Missing => self.fail_invoice(&id, None),
        }
        Ok(id)
    }

    /// Tells a drafted invoice, and makes it payable.
    pub(super) fn finalize_invoice(&mut self, id: &str) {
        self.tell_invoice(id, "invoice.created");
        self.set_invoice(id, |invoice| invoice.status = InvoiceStatus::Open);
        self.tell_invoice(id, "invoice.finalized");
    }

    /// The charge went through; an invoice over nothing needs none.
    pub(super) fn pay_invoice(&mut self, id: &str) {
        self.settle_invoice(id);
        if self.invoices.get(id).is_some_and(Invoice::has_payment) {
            self.tell_charge(id, "charge.succeeded");
            self.tell_intent(id, "payment_intent.succeeded");
            if self.view.shape >= Shape::Basil
                && let Some(object) = self.invoices.get(id).map(|invoice| render::invoice_payment(invoice, &self.view))
            {
                self.emit("invoice_payment.paid", object, None);
            }
        }
        self.tell_invoice(id, "invoice.paid");
        self.tell_invoice(id, "invoice.payment_succeeded");
    }

    /// Writes down that an invoice is paid, and tells nothing.
    pub(super) fn settle_invoice(&mut self, id: &str) {
        let now = self.now;
        if self.invoices.get(id).is_some_and(|invoice| invoice.amount > 0) {
            self.write_charge(id, Outcome::Succeeded);
        }
        self.set_invoice(id, |invoice| {
            invoice.status = InvoiceStatus::Paid;
            invoice.paid_at = Some(now);
            invoice.next_attempt = None;
            invoice.attempts += u32::from(invoice.amount > 0);
        });
    }

    /// The card was declined; `next` is when it will be tried again.
    pub(super) fn fail_invoice(&mut self, id: &str, next: Option<Timestamp>) {
        self.write_charge(id, Outcome::Failed);
        self.set_invoice(id, |invoice| {
            invoice.attempts += 1;
            invoice.next_attempt = next;
        });
        self.tell_charge(id, "charge.failed");
        self.tell_intent(id, "payment_intent.payment_failed");
        self.tell_invoice(id, "invoice.payment_failed");
    }

    /// The money was asked for, and takes days to come.
    pub(super) fn await_payment(&mut self, id: &str) {
        self.write_charge(id, Outcome::Pending);
        self.tell_charge(id, "charge.pending");
        self.tell_intent(id, "payment_intent.processing");
    }

    /// Charges an invoice that was not paid, now; a subscription that only waited for it is active again.
    pub fn collect(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_room(1)?;
        let invoice = self.invoice(id)?;
        let (customer, subscription, next) =
            (invoice.customer.clone(), invoice.subscription.clone(), invoice.next_attempt);
        match invoice.status {
            InvoiceStatus::Paid => return Err(Refusal::wrong_state("Invoice is already paid.")),
            InvoiceStatus::Void => return Err(Refusal::wrong_state("A void invoice cannot be paid.")),
            InvoiceStatus::Draft => {
                self.set_invoice(id, |invoice| invoice.status = InvoiceStatus::Open);
                self.tell_invoice(id, "invoice.finalized");
            }
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
        }
        if self.card(&customer) != Card::Good {
            self.fail_invoice(id, next);
            return Err(Refusal::declined());
        }
        self.pay_invoice(id);
        if let Some(subscription) = subscription {
            self.recover(&subscription, id);
        }
        Ok(())
    }

    /// A payment makes a subscription active again that waited for nothing else.
    pub(super) fn recover(&mut self, subscription: &str, invoice: &str) {
        let latest = |own: &super::model::Subscription| own.latest_invoice.as_deref() == Some(invoice);
        if self.subscriptions.get(subscription).is_some_and(|own| own.status.is_owing() && latest(own)) {
            self.amend(subscription, |own| {
                own.status = Status::Active;
                own.dunning = None;
                own.is_processing = false;
            });
        }
    }

    /// What becomes of an invoice while collection is paused.
    pub(super) fn set_aside_invoice(&mut self, id: &str, behavior: PauseBehavior) {
        let (status, kind) = match behavior {
            PauseBehavior::Void => (InvoiceStatus::Void, "invoice.voided"),
            PauseBehavior::MarkUncollectible => (InvoiceStatus::Uncollectible, "invoice.marked_uncollectible"),
            PauseBehavior::KeepAsDraft => return self.tell_invoice(id, "invoice.created"),
        };
        self.finalize_invoice(id);
        self.set_invoice(id, |invoice| invoice.status = status);
        self.tell_invoice(id, kind);
    }

    /// Writes a try down: one that was pending is decided, else it is a new one.
    fn write_charge(&mut self, id: &str, outcome: Outcome) {
        let Some(invoice) = self.invoices.get_mut(id) else { return };
        let latest = invoice.charge.as_ref().and_then(|charge| self.charges.get_mut(charge));
        if let Some(pending) = latest.filter(|charge| charge.outcome == Outcome::Pending) {
            pending.outcome = outcome;
            return;
        }
        let charge = self.ids.next("ch");
        invoice.charge = Some(charge.clone());
        self.charges.insert(Charge {
            id: charge,
            invoice: id.to_owned(),
            customer: invoice.customer.clone(),
            payment_intent: invoice.payment_intent.clone(),
            amount: invoice.amount,
            currency: invoice.currency.clone(),
            created: self.now,
            outcome,
            refunded: 0,
            dispute: None,
            refunds: Vec::new(),
        });
    }

    fn set_invoice(&mut self, id: &str, change: impl FnOnce(&mut Invoice)) {
        if let Some(invoice) = self.invoices.get_mut(id) {
            change(invoice);
        }
    }

    pub(super) fn tell_invoice(&mut self, id: &str, kind: &str) {
        if self.manner().telling == Telling::Aloud
            && let Some(object) = self.invoices.get(id).map(|invoice| render::invoice(invoice, &self.view))
        {
            self.emit(kind, object, None);
        }
    }

    /// Tells the latest charge of an invoice.
    fn tell_charge(&mut self, invoice: &str, kind: &str) {
        let latest = self.invoices.get(invoice).and_then(|invoice| self.charges.get(invoice.charge.as_ref()?));
        if let Some(object) = latest.map(|charge| render::charge(charge, self, &self.view)) {
            self.emit(kind, object, None);
        }
    }

    fn tell_intent(&mut self, invoice: &str, kind: &str) {
        let invoice = self.invoices.get(invoice);
        if let Some(object) = invoice.map(|invoice| render::payment_intent(invoice, self, &self.view)) {
            self.emit(kind, object, None);
        }
    }
}
