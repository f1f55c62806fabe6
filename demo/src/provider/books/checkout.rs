//! Checkout sessions: opened by a call, completed by the buyer, or expired by time.

use chrono::Duration;

use super::model::{Card, CheckoutSession, Metadata, SessionState};
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
    pub metadata: Metadata,
    pub subscription_metadata: Metadata,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub promotion_codes: Option<bool>,
    pub expires_at: Option<Timestamp>,
}

impl Books {
    /// Opens a session.
    pub fn open_session(&mut self, new: NewSession) -> Result<&CheckoutSession, Refusal> {
        self.check_room()?;
        if let Some(customer) = &new.customer {
            self.customer(customer, "customer")?;
        }
        let id = self.ids.next("cs_test");
        self.sessions.insert(CheckoutSession {
            id: id.clone(),
            customer: new.customer,
            customer_email: new.customer_email,
            client_reference_id: new.client_reference_id,
            price: new.price,
            quantity: new.quantity,
            trial_days: new.trial_days,
            metadata: new.metadata,
            subscription_metadata: new.subscription_metadata,
            success_url: new.success_url,
            cancel_url: new.cancel_url,
            promotion_codes: new.promotion_codes,
            created: self.now,
            expires_at: new.expires_at.unwrap_or(self.now + Duration::hours(OPEN_HOURS)),
            state: SessionState::Open,
        });
        self.session(&id)
    }

    /// The buyer pays: with a card that works, for this and what comes after.
    pub fn complete_session(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_room()?;
        let session = self.open_session_named(id)?;
        let new = NewSubscription {
            customer: session.customer.clone().unwrap_or_default(),
            price: session.price.clone(),
            quantity: session.quantity,
            trial_days: session.trial_days,
            metadata: session.subscription_metadata.clone(),
        };
        let (known, email) = (session.customer.clone(), session.customer_email.clone());
        let customer = match known {
            Some(customer) => customer,
            None => self.create_customer(NewCustomer { email, ..NewCustomer::default() })?,
        };
        self.set_card(&customer, Card::Good)?;
        let (subscription, invoice) = self.open_subscription(NewSubscription { customer: customer.clone(), ..new });
        if let Some(session) = self.sessions.get_mut(id) {
            session.customer = Some(customer);
            session.state = SessionState::Complete { subscription: subscription.clone(), invoice: invoice.clone() };
        }
        self.tell_session(id, "checkout.session.completed");
        self.start_subscription(&subscription, &invoice);
        Ok(())
    }

    /// Closes an open session without a sale.
    pub fn expire_session(&mut self, id: &str) -> Result<(), Refusal> {
        self.open_session_named(id)?;
        if let Some(session) = self.sessions.get_mut(id) {
            session.state = SessionState::Expired;
        }
        self.tell_session(id, "checkout.session.expired");
        Ok(())
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
