//! Customers, checkout sessions and portal sessions.

use std::collections::BTreeMap;

use entitlement::Timestamp;
use entitlement::account::AccountId;
use serde::Serialize;

use super::{Client, ProviderError, Sameness, checked_id};

/// The longest `client_reference_id` that Stripe accepts, in characters; a longer one is refused with a 400.
const REFERENCE_CHARS_MAX: usize = 200;

/// An account, and under which key of `metadata` the provider is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Buyer<'a> {
    pub account: &'a AccountId,
    pub metadata_key: &'a str,
}

/// What a checkout session is about.
#[derive(Clone, Copy, Debug)]
pub struct Checkout<'a> {
    pub buyer: Buyer<'a>,
    /// Stripe's price, Polar's product.
    pub price: &'a str,
    /// Whether usage is charged: then Stripe takes no quantity.
    pub is_metered: bool,
    /// `tier` or `addon`, and its code.
    pub sold: (&'static str, &'a str),
    /// What the buyer has stated, by name.
    pub details: &'a BTreeMap<String, String>,
    /// Days before the first charge; 0 for none.
    pub trial_days: u32,
    pub success_url: &'a str,
    pub cancel_url: &'a str,
    /// Which of the account's checkouts it is: an equal one after this is another.
    pub attempt: i64,
}

/// A hosted checkout that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub id: String,
    pub url: String,
}

/// How a hosted checkout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckoutState {
    /// It can be paid.
    Open,
    /// The payment is on its way, and nothing is bought yet.
    Processing,
    /// It has bought a subscription, paid or to be paid.
    Complete,
    /// It can no longer be paid.
    Over,
}

#[derive(Serialize)]
struct CustomerForm<'a> {
    metadata: BTreeMap<&'a str, &'a str>,
}

#[derive(miniserde::Deserialize)]
struct CustomerAnswer {
    id: String,
}

#[derive(Serialize)]
struct CheckoutForm<'a> {
    mode: &'static str,
    customer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_reference_id: Option<&'a str>,
    line_items: [Line<'a>; 1],
    metadata: BTreeMap<&'a str, &'a str>,
    subscription_data: SubscriptionData<'a>,
    allow_promotion_codes: bool,
    success_url: &'a str,
    cancel_url: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    price: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u32>,
}

#[derive(Serialize)]
struct SubscriptionData<'a> {
    metadata: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trial_period_days: Option<u32>,
}

impl<'a> CheckoutForm<'a> {
    fn of(customer: &'a str, checkout: &Checkout<'a>) -> Self {
        let account = checkout.buyer.account.as_str();
        // On the subscription too: its events may arrive before the session's.
        let stated = checkout.details.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // What is ours comes last: nothing that a buyer states may stand in its place.
        let ours = [("price", checkout.price), checkout.sold, (checkout.buyer.metadata_key, account)];
        let metadata: BTreeMap<&str, &str> = stated.chain(ours).collect();
        Self {
            mode: "subscription",
            customer,
            // A longer account is still named by metadata.
            client_reference_id: Some(account).filter(|id| id.chars().count() <= REFERENCE_CHARS_MAX),
            line_items: [Line { price: checkout.price, quantity: (!checkout.is_metered).then_some(1) }],
            metadata: metadata.clone(),
            subscription_data: SubscriptionData {
                metadata,
                trial_period_days: Some(checkout.trial_days).filter(|days| *days > 0),
            },
            allow_promotion_codes: true,
            success_url: checkout.success_url,
            cancel_url: checkout.cancel_url,
        }
    }
}

#[derive(Serialize)]
struct PortalForm<'a> {
    customer: &'a str,
    return_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<&'a str>,
}

#[derive(miniserde::Deserialize)]
struct SessionAnswer {
    id: String,
    url: Option<String>,
}

#[derive(miniserde::Deserialize)]
struct StateAnswer {
    status: Option<String>,
}

#[derive(miniserde::Deserialize)]
struct Presence {
    deleted: Option<bool>,
}

#[derive(Serialize)]
struct Nothing {}

impl SessionAnswer {
    fn opened(self) -> Result<Opened, ProviderError> {
        let url = self.url.filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| ProviderError::Unusable("a session without a URL".into()))?;
        Ok(Opened { id: self.id, url })
    }
}

impl Client {
    /// Makes a customer for the buyer and answers its id. Two calls within a minute make one customer. `replaces` is
    /// the customer that the provider no longer knows.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn create_customer(
        &self,
        buyer: Buyer<'_>,
        replaces: Option<&str>,
        now: Timestamp,
    ) -> Result<String, ProviderError> {
        let mut metadata = BTreeMap::from([(buyer.metadata_key, buyer.account.as_str())]);
        // Also makes the content another one, so that the lost customer's creation is not replayed.
        metadata.extend(replaces.map(|customer| ("replaces", customer)));
        let form = CustomerForm { metadata };
        let answer: CustomerAnswer = self.post("/customers", &form, Sameness::WithinMinute(now, 0)).await?;
        Ok(answer.id)
    }

    /// Opens a hosted checkout for one subscription. Equal calls within a minute open one.
    ///
    /// # Errors
    /// [`ProviderError::UnknownCustomer`] when the customer is gone, or any other.
    pub async fn create_checkout(
        &self,
        customer: &str,
        checkout: &Checkout<'_>,
        now: Timestamp,
    ) -> Result<Opened, ProviderError> {
        let sameness = Sameness::WithinMinute(now, checkout.attempt);
        let form = CheckoutForm::of(customer, checkout);
        let answer: SessionAnswer = self.post("/checkout/sessions", &form, sameness).await?;
        answer.opened()
    }

    /// How a hosted checkout stands; over when the provider does not have it.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn checkout_state(&self, id: &str) -> Result<CheckoutState, ProviderError> {
        let asked: Result<StateAnswer, _> = self.get(&format!("/checkout/sessions/{}", checked_id(id)?)).await;
        match asked {
            Ok(answer) => Ok(match answer.status.as_deref() {
                Some("open") => CheckoutState::Open,
                Some("complete") => CheckoutState::Complete,
                _ => CheckoutState::Over,
            }),
            Err(ProviderError::Missing(_)) => Ok(CheckoutState::Over),
            Err(error) => Err(error),
        }
    }

    /// Whether the provider still knows a customer: nobody can pay in a checkout of one that was deleted.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn has_customer(&self, id: &str) -> Result<bool, ProviderError> {
        let asked: Result<Presence, _> = self.get(&format!("/customers/{}", checked_id(id)?)).await;
        match asked {
            Ok(customer) => Ok(customer.deleted != Some(true)),
            Err(ProviderError::Missing(_) | ProviderError::UnknownCustomer) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes a hosted checkout, so that it can no longer be paid; answers how it stands then: a buyer may have been
    /// faster.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    pub async fn close_checkout(&self, id: &str) -> Result<CheckoutState, ProviderError> {
        let path = format!("/checkout/sessions/{}/expire", checked_id(id)?);
        let closed: Result<StateAnswer, _> = self.post(&path, &Nothing {}, Sameness::OwnRepetitions).await;
        match closed {
            Ok(_) => Ok(CheckoutState::Over),
            // It is not open any more.
            Err(ProviderError::Refused(_) | ProviderError::Missing(_)) => self.checkout_state(id).await,
            Err(error) => Err(error),
        }
    }

    /// Opens the customer portal and answers its URL, which the provider lets expire. Where the account has no configuration of its own,
    /// that of `tollgate setup stripe` serves.
    ///
    /// # Errors
    /// [`ProviderError::UnknownCustomer`] when the customer is gone, or any other.
    pub async fn create_portal(&self, customer: &str, return_url: &str) -> Result<String, ProviderError> {
        let form = PortalForm { customer: checked_id(customer)?, return_url, configuration: None };
        let opened: Result<SessionAnswer, _> =
            self.post("/billing_portal/sessions", &form, Sameness::OwnRepetitions).await;
        let answer = match opened {
            Err(refused @ ProviderError::Refused(_)) => {
                let Ok(Some(own)) = self.own_portal().await else { return Err(refused) };
                let form = PortalForm { configuration: Some(&own), ..form };
                self.post("/billing_portal/sessions", &form, Sameness::OwnRepetitions).await?
            }
            opened => opened?,
        };
        Ok(answer.opened()?.url)
    }
}

#[cfg(test)]
mod tests {
    use stripe_client_core::{RequestBuilder, StripeMethod};

    use super::*;

    /// A trial of so many days stands for a price that charges usage.
    const METERED: u32 = 99;

    fn fields(account: &str, trial_days: u32) -> BTreeMap<String, String> {
        let account = AccountId::parse(account).expect("an id");
        let checkout = Checkout {
            buyer: Buyer { account: &account, metadata_key: "account" },
            price: "price_monthly",
            is_metered: trial_days == METERED,
            sold: ("tier", "paid"),
            details: &BTreeMap::from([
                ("domain_name".to_owned(), "shop.example".to_owned()),
                ("account".to_owned(), "somebody".to_owned()),
            ]),
            trial_days,
            success_url: "https://read.example/billing/return?session_id={CHECKOUT_SESSION_ID}&next=%2Fa",
            cancel_url: "https://read.example/billing/pricing",
            attempt: 0,
        };
        let request = RequestBuilder::new(StripeMethod::Post, "/").form(&CheckoutForm::of("cus_1", &checkout));
        url::form_urlencoded::parse(request.body.expect("a body").as_bytes()).into_owned().collect()
    }

    #[test]
    fn a_checkout_names_the_account_wherever_an_event_may_look() {
        let expected = [
            ("mode", "subscription"),
            ("customer", "cus_1"),
            ("client_reference_id", "user:1"),
            ("line_items[0][price]", "price_monthly"),
            ("line_items[0][quantity]", "1"),
            ("metadata[account]", "user:1"),
            ("metadata[domain_name]", "shop.example"),
            ("metadata[price]", "price_monthly"),
            ("metadata[tier]", "paid"),
            ("subscription_data[metadata][account]", "user:1"),
            ("subscription_data[metadata][domain_name]", "shop.example"),
            ("subscription_data[metadata][price]", "price_monthly"),
            ("subscription_data[metadata][tier]", "paid"),
            ("subscription_data[trial_period_days]", "14"),
            ("allow_promotion_codes", "true"),
            ("success_url", "https://read.example/billing/return?session_id={CHECKOUT_SESSION_ID}&next=%2Fa"),
            ("cancel_url", "https://read.example/billing/pricing"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields("user:1", 14), BTreeMap::from(expected));
    }

    #[test]
    fn what_stripe_would_refuse_is_left_out() {
        assert!(!fields("user:1", 0).contains_key("subscription_data[trial_period_days]"), "a trial of 0 days");
        assert!(!fields("user:1", METERED).contains_key("line_items[0][quantity]"), "usage has no quantity");
        let longest = "x".repeat(REFERENCE_CHARS_MAX);
        assert_eq!(fields(&longest, 0).get("client_reference_id"), Some(&longest));
        let longer = "x".repeat(REFERENCE_CHARS_MAX + 1);
        assert_eq!(fields(&longer, 0).get("client_reference_id"), None);
        assert_eq!(fields(&longer, 0).get("metadata[account]"), Some(&longer));
    }

    #[test]
    fn a_session_without_a_page_is_no_session() {
        for answer in [r#"{"id": "cs_1"}"#, r#"{"id": "cs_1", "url": null}"#, r#"{"id": "cs_1", "url": ""}"#] {
            let answer: SessionAnswer = miniserde::json::from_str(answer).expect("a session");
            let problem = crate::problem::Problem::from(answer.opened().expect_err("nowhere to send the buyer"));
            assert_eq!((problem.status().as_u16(), problem.code()), (502, "provider_unavailable"));
        }
    }
}
