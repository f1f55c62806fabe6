//! Checkout sessions: opened by a call, completed by the buyer, or expired by time.

use chrono::Duration;

use super::lifecycle::Turn;
use super::model::{Card, CheckoutSession, Metadata, SessionPayment, SessionState, Status, TrialEnd};
use super::subscriptions::NewSubscription;
use super::{Books, NewCustomer};
use crate::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::render;
use crate::provider::settings::Price;

/// How long a session stays open, in hours: Stripe's default.
const OPEN_HOURS: i64 = 24;

/// What a checkout session is created with.
pub struct NewSession {
    pub customer: Option<String>,
    pub customer_email: Option<String>,
    pub client_reference_id: Option<String>,
    pub price: Price,
    pub quantity: u32,
    pub trial_days: Option<u32>,
    pub trial_end: TrialEnd,
    pub metadata: Metadata,
    pub subscription_metadata: Metadata,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub promotion_codes: Option<bool>,
    pub expires_at: Option<Timestamp>,
}

/// What a subscription is while its first payment takes days, which depends on the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileProcessing {
    Incomplete,
    Active,
}

/// What came of a payment that took days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    Paid,
    Failed,
}

impl Books {
    /// Opens a session.
    pub fn open_session(&mut self, new: NewSession) -> Result<&CheckoutSession, Refusal> {
        self.check_room(1)?;
        if let Some(customer) = &new.customer {
            self.customer(customer, "customer")?;
        }
        let id = self.ids.next("cs_test");
        let expires_at = new.expires_at.unwrap_or(self.now + Duration::hours(OPEN_HOURS));
        self.sessions.insert(CheckoutSession {
            id: id.clone(),
            customer: new.customer,
            customer_email: new.customer_email,
            client_reference_id: new.client_reference_id,
            price: new.price,
            quantity: new.quantity,
            trial_days: new.trial_days,
            trial_end: new.trial_end,
            metadata: new.metadata,
            subscription_metadata: new.subscription_metadata,
            success_url: new.success_url,
            cancel_url: new.cancel_url,
            promotion_codes: new.promotion_codes,
            created: self.now,
            expires_at,
            state: SessionState::Open,
        });
        self.agenda.set(&id, Some((expires_at, Turn::SessionExpires)));
        self.session(&id)
    }

    /// The buyer pays: with a card that works, for this and what comes after.
    pub fn complete_session(&mut self, id: &str) -> Result<(), Refusal> {
        let (subscription, invoice) = self.sell(id, SessionPayment::Settled)?;
        self.tell_session(id, "checkout.session.completed");
        self.start_subscription(&subscription, &invoice);
        Ok(())
    }

    /// The buyer begins a trial without naming a card.
    pub fn complete_session_without_card(&mut self, id: &str) -> Result<(), Refusal> {
        if self.open_session_named(id)?.trial_days.is_none() {
            return Err(Refusal::wrong_state("Only a trial begins without a card."));
        }
        let (subscription, invoice) = self.sell(id, SessionPayment::Settled)?;
        let customer = self.subscription(&subscription)?.customer.clone();
        self.set_card(&customer, Card::Missing)?;
        self.tell_session(id, "checkout.session.completed");
        self.start_subscription(&subscription, &invoice);
        Ok(())
    }

    /// The buyer orders a payment that takes days, such as a debit (<https://docs.stripe.com/checkout/fulfillment>).
    pub fn complete_session_later(&mut self, id: &str, meanwhile: WhileProcessing) -> Result<(), Refusal> {
        if self.open_session_named(id)?.trial_days.is_some() {
            return Err(Refusal::wrong_state("A trial has nothing to pay yet."));
        }
        let (subscription, invoice) = self.sell(id, SessionPayment::Pending)?;
        self.set_subscription(&subscription, |subscription| subscription.is_processing = true);
        self.tell_session(id, "checkout.session.completed");
        self.tell_subscription(&subscription, "customer.subscription.created");
        self.finalize_invoice(&invoice);
        self.await_payment(&invoice);
        if meanwhile == WhileProcessing::Active {
            self.amend(&subscription, |subscription| subscription.status = Status::Active);
        }
        Ok(())
    }

    /// The payment of a completed session comes, or fails.
    pub fn settle_session(&mut self, id: &str, settled: Settled) -> Result<(), Refusal> {
        let SessionState::Complete { subscription, invoice, payment } = self.session(id)?.state.clone() else {
            return Err(Refusal::wrong_state("This Checkout Session is not complete."));
        };
        if payment != SessionPayment::Pending {
            return Err(Refusal::wrong_state("No payment of this Checkout Session is pending."));
        }
        let (payment, kind) = match settled {
            Settled::Paid => (SessionPayment::Settled, "checkout.session.async_payment_succeeded"),
            Settled::Failed => (SessionPayment::Failed, "checkout.session.async_payment_failed"),
        };
        let state = SessionState::Complete { subscription: subscription.clone(), invoice: invoice.clone(), payment };
        self.set_session(id, |session| session.state = state);
        match settled {
            Settled::Paid => {
                self.recover(&subscription, &invoice);
                self.pay_invoice(&invoice);
            }
            Settled::Failed => {
                self.fail_invoice(&invoice, None);
                self.amend(&subscription, |subscription| {
                    if subscription.status == Status::Active {
                        subscription.status = Status::PastDue;
                    }
                });
            }
        }
        self.set_subscription(&subscription, |subscription| subscription.is_processing = false);
        self.tell_session(id, kind);
        Ok(())
    }

    /// Writes down what an open session sells, and tells nothing: the subscription, and its first invoice.
    fn sell(&mut self, id: &str, payment: SessionPayment) -> Result<(String, String), Refusal> {
        self.check_room(1)?;
        let session = self.open_session_named(id)?;
        let new = NewSubscription {
            customer: session.customer.clone().unwrap_or_default(),
            items: vec![(session.price.clone(), session.quantity)],
            trial_days: session.trial_days,
            trial_end: session.trial_end,
            metadata: session.subscription_metadata.clone(),
        };
        let (known, email) = (session.customer.clone(), session.customer_email.clone());
        let customer = match known {
            Some(customer) => customer,
            None => self.create_customer(NewCustomer { email, ..NewCustomer::default() })?,
        };
        self.set_card(&customer, Card::Good)?;
        let (subscription, invoice) = self.open_subscription(NewSubscription { customer: customer.clone(), ..new })?;
        let state = SessionState::Complete { subscription: subscription.clone(), invoice: invoice.clone(), payment };
        self.set_session(id, |session| {
            session.customer = Some(customer);
            session.state = state;
        });
        Ok((subscription, invoice))
    }

    /// Closes an open session without a sale.
    pub fn expire_session(&mut self, id: &str) -> Result<(), Refusal> {
        self.open_session_named(id)?;
        self.set_session(id, |session| session.state = SessionState::Expired);
        self.tell_session(id, "checkout.session.expired");
        Ok(())
    }

    /// Only an open session expires.
    fn set_session(&mut self, id: &str, change: impl FnOnce(&mut CheckoutSession)) {
        if let Some(session) = self.sessions.get_mut(id) {
            change(session);
            let is_open = session.state == SessionState::Open;
            self.agenda.set(id, is_open.then_some((session.expires_at, Turn::SessionExpires)));
        }
    }

    fn open_session_named(&self, id: &str) -> Result<&CheckoutSession, Refusal> {
        let session = self.session(id)?;
        match session.state {
            SessionState::Open => Ok(session),
            SessionState::Complete { .. } => Err(Refusal::wrong_state("This Checkout Session is already complete.")),
            SessionState::Expired => Err(Refusal::wrong_state("This Checkout Session has expired.")),
        }
    }

    fn tell_session(&mut self, id: &str, kind: &str) {
        if let Some(object) = self.sessions.get(id).map(|session| render::session(session, &self.view)) {
            self.emit(kind, object, None);
        }
    }
}
