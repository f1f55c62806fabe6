//! Polar's hosted checkouts, and the sessions of its customer portal.

use std::collections::HashSet;

use chrono::Duration;

use super::model::Checkout;
use super::{Books, NewCustomer, Subscribe, new_id};
use crate::polar::refusal::Refusal;
use crate::provider::Metadata;

/// How long a checkout stays open, in hours.
const OPEN_HOURS: i64 = 24;

/// The longest trial, in days.
const TRIAL_DAYS_MAX: u32 = 1000;

/// What a checkout is created with: Polar's own names
/// (<https://polar.sh/docs/api-reference/checkouts/create-session>).
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCheckout {
    products: Vec<String>,
    external_customer_id: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    customer_metadata: Metadata,
    allow_discount_codes: Option<bool>,
    allow_trial: Option<bool>,
    trial_interval: Option<Interval>,
    trial_interval_count: Option<u32>,
    success_url: Option<String>,
    return_url: Option<String>,
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Interval {
    Day,
    Week,
}

/// What a portal session is created with.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPortal {
    customer_id: Option<String>,
    external_customer_id: Option<String>,
    return_url: Option<String>,
}

impl NewCheckout {
    fn trial_days(&self) -> Result<u32, Refusal> {
        let days = match (self.trial_interval, self.trial_interval_count) {
            (None, None) => 0,
            (Some(Interval::Day), Some(count)) => count,
            (Some(Interval::Week), Some(count)) => count.saturating_mul(7),
            _ => return Err(Refusal::in_body("trial_interval", "Both or neither of the trial's fields must be set.")),
        };
        if self.trial_interval.is_some() && !(1..=TRIAL_DAYS_MAX).contains(&days) {
            return Err(Refusal::in_body("trial_interval_count", "Input should be between 1 and 1000"));
        }
        Ok(if self.allow_trial == Some(false) { 0 } else { days })
    }
}

impl Books {
    /// A checkout by its id.
    pub fn checkout(&self, id: &str) -> Result<&Checkout, Refusal> {
        self.checkouts.get(id).ok_or(Refusal::NotFound)
    }

    /// How a checkout stands now.
    pub fn checkout_status(&self, checkout: &Checkout) -> &'static str {
        match &checkout.subscription {
            Some(_) => "succeeded",
            None if checkout.expires <= self.now => "expired",
            None => "open",
        }
    }

    /// Opens a checkout; answers the id.
    pub fn open_checkout(&mut self, new: NewCheckout) -> Result<String, Refusal> {
        self.check_room(1)?;
        let trial_days = new.trial_days()?;
        let products: HashSet<&String> = new.products.iter().collect();
        let Some(first) = new.products.first().filter(|_| products.len() == new.products.len()) else {
            return Err(Refusal::in_body("products", "List should have at least 1 item, and each once"));
        };
        let known = |id: &String| self.product(id).is_ok();
        if !new.products.iter().all(known) {
            return Err(Refusal::in_body("products", "Product does not exist."));
        }
        for (param, url) in [("success_url", &new.success_url), ("return_url", &new.return_url)] {
            if url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                return Err(Refusal::in_body(param, "Input should be a valid URL"));
            }
        }
        let product = self.product(first)?.clone();
        let (id, created) = (new_id(), self.tick());
        self.checkouts.insert(Checkout {
            id: id.clone(),
            secret: format!("polar_c_{}", new_id()),
            product,
            external_customer_id: new.external_customer_id,
            metadata: new.metadata,
            customer_metadata: new.customer_metadata,
            allow_discount_codes: new.allow_discount_codes.unwrap_or(true),
            trial_days,
            success_url: new.success_url,
            return_url: new.return_url,
            created,
            expires: created + Duration::hours(OPEN_HOURS),
            customer: None,
            subscription: None,
        });
        Ok(id)
    }

    /// The buyer pays, or begins the trial; answers the subscription.
    pub fn complete_checkout(&mut self, id: &str) -> Result<String, Refusal> {
        let checkout = self.checkout(id)?;
        if self.checkout_status(checkout) != "open" {
            return Err(Refusal::in_body("status", "Checkout session is not open."));
        }
        let (external, product, trial_days) =
            (checkout.external_customer_id.clone(), checkout.product.id.clone(), checkout.trial_days);
        let (metadata, customer_metadata) = (checkout.metadata.clone(), checkout.customer_metadata.clone());
        let known = external.as_ref().and_then(|external| self.external_customer(external).ok());
        let customer = match known.map(|customer| customer.id.clone()) {
            Some(customer) => customer,
            None => {
                let new = NewCustomer { external_id: external, metadata: customer_metadata, ..NewCustomer::default() };
                self.create_customer(new)?
            }
        };
        // An organization lets nobody subscribe twice unless it says so.
        if self.subscriptions.of(&customer).any(|own| own.status.is_active()) {
            return Err(Refusal::in_body("product_id", "You already have an active subscription."));
        }
        let subscribe = Subscribe { customer: customer.clone(), product, trial_days, metadata };
        let subscription = self.subscribe(subscribe)?;
        if let Some(checkout) = self.checkouts.get_mut(id) {
            checkout.customer = Some(customer);
            checkout.subscription = Some(subscription.clone());
        }
        Ok(subscription)
    }

    /// The customer whom a portal session is for, and where it leads back.
    pub fn open_portal(&self, new: &NewPortal) -> Result<(String, Option<String>), Refusal> {
        let found = match (&new.customer_id, &new.external_customer_id) {
            (Some(id), None) => self.customer(id),
            (None, Some(external)) => self.external_customer(external),
            _ => return Err(Refusal::in_body("customer_id", "Exactly one of the ids must be set.")),
        };
        let customer = found.map_err(|_| Refusal::in_body("customer_id", "Customer does not exist."))?;
        Ok((customer.id.clone(), new.return_url.clone()))
    }
}
