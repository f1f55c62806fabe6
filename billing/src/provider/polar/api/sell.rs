//! Checkouts and portal sessions of Polar (<https://polar.sh/docs/api-reference/checkouts/create-session>).
//!
//! The customer need not be made first: the account goes along as its external id, and every event names that.

use std::collections::BTreeMap;

use entitlement::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Client, checked_id};
use crate::provider::client::{Bill, Checkout, CheckoutState, Opened, ProviderError};

/// Most orders that are shown of one customer.
const BILLS_MAX: &str = "24";

/// What a checkout is created with.
#[derive(Serialize)]
struct NewCheckout<'a> {
    products: [&'a str; 1],
    external_customer_id: &'a str,
    /// Copied to the subscription and the order.
    metadata: BTreeMap<&'a str, &'a str>,
    customer_metadata: BTreeMap<&'a str, &'a str>,
    allow_discount_codes: bool,
    /// Whether a trial is given at all: the product may have one of its own.
    allow_trial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_interval: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_interval_count: Option<u32>,
    success_url: &'a str,
    return_url: &'a str,
}

#[derive(Serialize)]
struct NewPortal<'a> {
    customer_id: &'a str,
    return_url: &'a str,
}

impl Client {
    /// Opens a hosted checkout for one product.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn create_checkout(&self, checkout: &Checkout<'_>) -> Result<Opened, ProviderError> {
        let account = checkout.buyer.account.as_str();
        let owner = BTreeMap::from([(checkout.buyer.metadata_key, account)]);
        let stated = checkout.details.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // What is ours comes last: nothing that a buyer states may stand in its place.
        let mut metadata: BTreeMap<&str, &str> = stated.chain([checkout.sold]).collect();
        metadata.extend(&owner);
        let days = Some(checkout.trial_days).filter(|days| *days > 0);
        let new = NewCheckout {
            products: [checked_id(checkout.price)?],
            external_customer_id: account,
            metadata,
            customer_metadata: owner,
            allow_discount_codes: true,
            allow_trial: days.is_some(),
            trial_interval: days.map(|_| "day"),
            trial_interval_count: days,
            success_url: checkout.success_url,
            return_url: checkout.cancel_url,
        };
        let answer = self.post("v1/checkouts/", &new).await?;
        Ok(Opened { id: text(&answer, "id")?, url: text(&answer, "url")? })
    }

    /// How a hosted checkout stands; over when Polar does not have it.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn checkout_state(&self, id: &str) -> Result<CheckoutState, ProviderError> {
        match self.get(&format!("v1/checkouts/{}", checked_id(id)?), &[]).await {
            Ok(answer) => Ok(match answer["status"].as_str() {
                Some("open") => CheckoutState::Open,
                Some("confirmed") => CheckoutState::Processing,
                Some("succeeded") => CheckoutState::Complete,
                _ => CheckoutState::Over,
            }),
            Err(ProviderError::Missing(_)) => Ok(CheckoutState::Over),
            Err(error) => Err(error),
        }
    }

    /// Opens the customer portal and answers its URL, which Polar lets expire.
    ///
    /// # Errors
    /// [`ProviderError::UnknownCustomer`] when the customer is gone, or any other.
    pub async fn create_portal(&self, customer: &str, return_url: &str) -> Result<String, ProviderError> {
        let new = NewPortal { customer_id: checked_id(customer)?, return_url };
        match self.post("v1/customer-sessions/", &new).await {
            Err(ProviderError::Refused(_) | ProviderError::Missing(_)) => Err(ProviderError::UnknownCustomer),
            answer => text(&answer?, "customer_portal_url"),
        }
    }

    /// The newest orders of a customer, newest first.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn bills(&self, customer: &str) -> Result<Vec<Bill>, ProviderError> {
        let query = [("customer_id", checked_id(customer)?), ("sorting", "-created_at"), ("limit", BILLS_MAX)];
        let answer = self.get("v1/orders/", &query).await?;
        let rows = answer["items"].as_array().ok_or_else(|| ProviderError::Unusable("a list without rows".into()))?;
        Ok(rows.iter().filter_map(bill).collect())
    }
}

/// Polar has no page of an order without a session; the portal shows them.
fn bill(row: &Value) -> Option<Bill> {
    let named = |name: &str| row[name].as_str().map(str::to_owned);
    let status = named("status").filter(|status| status != "draft" && status != "void")?;
    let created_at: Timestamp = named("created_at")?.parse().ok()?;
    let total = row["total_amount"].as_i64().unwrap_or(0);
    Some(Bill {
        id: named("id")?,
        number: named("invoice_number"),
        paid: if status == "pending" { 0 } else { total },
        status,
        created_at,
        total,
        currency: named("currency").unwrap_or_default(),
        url: None,
        pdf: None,
    })
}

fn text(answer: &Value, name: &str) -> Result<String, ProviderError> {
    let text = answer[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text.ok_or_else(|| ProviderError::Unusable(format!("an answer without {name}")))
}
