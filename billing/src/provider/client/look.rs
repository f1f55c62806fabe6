//! How things stand at Stripe now: an event is a hint, and this is what it hints at.

use entitlement::event::{Event, Object};
use serde::Serialize;
use serde_json::Value;

use super::list::PAGE_MAX;
use super::{Client, ProviderError, checked_id};
use crate::provider::Unreadable;
use crate::provider::stripe::object::{self, Told};

/// Which objects inside an object are answered whole.
#[derive(Serialize)]
struct Expanded {
    expand: [&'static str; 1],
}

#[derive(Serialize)]
struct Plain {}

#[derive(Serialize)]
struct Limited {
    limit: u8,
}

#[derive(Serialize)]
struct OfCharge<'a> {
    charge: &'a str,
    limit: u8,
}

#[derive(Serialize)]
struct OfIntent<'a> {
    #[serde(rename = "payment[type]")]
    kind: &'static str,
    #[serde(rename = "payment[payment_intent]")]
    payment_intent: &'a str,
}

#[derive(Serialize)]
struct OfSubscription<'a> {
    subscription: &'a str,
    limit: u8,
}

impl Client {
    /// What Stripe says of an object now, and of what it cannot be understood without. Nothing when Stripe has no such
    /// object.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn look(&self, object: &Object, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let looked = match object {
            Object::Subscription(id) => self.look_at_subscription(id, told).await,
            Object::Customer(id) => self.look_at_customer(id, told).await,
            Object::Invoice(id) => self.look_at_invoice(id, told).await,
            Object::Charge(id) => self.look_at_charge(id, told).await,
            Object::Dispute(id) => self.look_at_dispute(id, told).await,
            Object::Checkout(id) => self.look_at_checkout(id, told).await,
        };
        match looked {
            Err(ProviderError::Missing(_) | ProviderError::UnknownCustomer) => Ok(Vec::new()),
            looked => looked,
        }
    }

    async fn object(&self, collection: &str, id: &str) -> Result<Value, ProviderError> {
        self.get_value(&format!("/{collection}/{}", checked_id(id)?), &Plain {}).await
    }

    async fn look_at_subscription(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let path = format!("/subscriptions/{}", checked_id(id)?);
        let mut seen = self.get_value(&path, &Expanded { expand: ["latest_invoice"] }).await?;
        self.complete_items(&mut seen, id).await?;
        if let Some(invoice) = seen.get_mut("latest_invoice") {
            self.complete_lines(invoice).await?;
        }
        object::subscription(seen, told).map_err(unusable)
    }

    /// Only the first ten items are part of a subscription.
    pub(super) async fn complete_items(&self, seen: &mut Value, id: &str) -> Result<(), ProviderError> {
        if seen["items"]["has_more"] == true {
            let query = OfSubscription { subscription: checked_id(id)?, limit: PAGE_MAX };
            seen["items"] = self.get_value("/subscription_items", &query).await?;
        }
        Ok(())
    }

    /// Only the first ten lines are part of an invoice.
    async fn complete_lines(&self, invoice: &mut Value) -> Result<(), ProviderError> {
        let has_more = invoice.get("lines").is_some_and(|lines| lines["has_more"] == true);
        let Some(id) = invoice["id"].as_str().filter(|_| has_more) else { return Ok(()) };
        let path = format!("/invoices/{}/lines", checked_id(id)?);
        let lines = self.get_value(&path, &Limited { limit: PAGE_MAX }).await?;
        invoice["lines"] = lines;
        Ok(())
    }

    /// An invoice with all its lines.
    async fn invoice(&self, id: &str) -> Result<Value, ProviderError> {
        let mut invoice = self.object("invoices", id).await?;
        self.complete_lines(&mut invoice).await?;
        Ok(invoice)
    }

    async fn look_at_customer(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        object::customer(self.object("customers", id).await?, told).map_err(unusable)
    }

    async fn look_at_invoice(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let mut events = object::invoice(self.invoice(id).await?).map_err(unusable)?;
        for object in events.iter().flat_map(|event| event.objects.clone()).collect::<Vec<_>>() {
            if let Object::Subscription(id) = object {
                events.extend(self.look_at_subscription(&id, told).await?);
            }
        }
        Ok(events)
    }

    /// A charge with its refunds, and the invoice that it paid.
    async fn look_at_charge(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let mut charge = self.object("charges", id).await?;
        charge["refunds"] = self.get_value("/refunds", &OfCharge { charge: checked_id(id)?, limit: PAGE_MAX }).await?;
        let invoice = charge["invoice"].as_str().map(str::to_owned);
        let intent = charge["payment_intent"].as_str().map(str::to_owned);
        let mut events = object::charge(charge, told).map_err(unusable)?;
        let paid = match (invoice, intent) {
            (Some(invoice), _) => vec![invoice],
            (None, Some(intent)) => {
                let query = OfIntent { kind: "payment_intent", payment_intent: checked_id(&intent)? };
                let payments = self.get_value("/invoice_payments", &query).await?;
                events.extend(object::invoice_payments(&payments).map_err(unusable)?);
                object::invoices_of(&payments)
            }
            (None, None) => Vec::new(),
        };
        for invoice in paid {
            events.extend(object::invoice(self.invoice(&invoice).await?).map_err(unusable)?);
        }
        Ok(events)
    }

    async fn look_at_dispute(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let seen = self.object("disputes", id).await?;
        let charge = seen["charge"].as_str().map(str::to_owned);
        let mut events = object::dispute(seen, told).map_err(unusable)?;
        if let Some(charge) = charge {
            events.extend(self.look_at_charge(&charge, told).await?);
        }
        Ok(events)
    }

    /// The checkout that a subscription came from, if it came from one.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn look_at_purchase(&self, subscription: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let query = OfSubscription { subscription: checked_id(subscription)?, limit: 1 };
        let mut sessions = self.get_value("/checkout/sessions", &query).await?;
        match sessions["data"].get_mut(0).map(Value::take) {
            Some(session) => object::checkout(session, told).map_err(unusable),
            None => Ok(Vec::new()),
        }
    }

    async fn look_at_checkout(&self, id: &str, told: Told<'_>) -> Result<Vec<Event>, ProviderError> {
        let session = self.object("checkout/sessions", id).await?;
        let subscription = session["subscription"].as_str().map(str::to_owned);
        let mut events = object::checkout(session, told).map_err(unusable)?;
        if let Some(subscription) = subscription {
            events.extend(self.look_at_subscription(&subscription, told).await?);
        }
        Ok(events)
    }
}

pub(super) fn unusable(error: Unreadable) -> ProviderError {
    ProviderError::Unusable(error.0)
}
