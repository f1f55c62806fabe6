//! What Tollgate asks of Stripe: customers, checkouts, the customer portal, and the end of a subscription.
//!
//! Answers are read with our own lenient types: the generated ones refuse every object of another API version. Requests
//! carry the version that the library is pinned to, so an answer's shape does not follow the account's default.

mod account;
mod bills;
mod error;
mod list;
mod look;
mod price;
mod sell;
mod setup;
mod subscription;
mod transport;

use std::time::Duration;

use entitlement::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use sha2::{Digest, Sha256};
use stripe_client_core::{IdempotencyKey, RequestBuilder, RequestStrategy, StripeMethod};

use self::transport::Transport;
use crate::provider::heard::Heard;

pub use bills::Bill;
pub use error::ProviderError;
pub use list::{Listed, Page};
pub use price::Endpoint;
pub use sell::{Buyer, Checkout, CheckoutState, Opened};
pub use setup::{MARK, PORTALS};
pub use subscription::Kept;

/// How long one call may take in all, with its repetitions. A buyer waits for it.
const CALL_SECONDS_MAX: u64 = 10;

/// How often a call is tried. Stripe's own libraries repeat twice.
const ATTEMPTS_MAX: u32 = 3;

/// The wait before the second attempt; each later one is twice as long.
const FIRST_PAUSE_MS: u64 = 250;

/// A connection to Stripe's API. Cloning is cheap. `Debug` does not show the key.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    heard: Heard,
}

/// Which calls Stripe shall take for one and the same (the Idempotency-Key; Stripe keeps it for a day).
#[derive(Clone, Copy, Debug)]
enum Sameness {
    /// Repetitions of this very call.
    OwnRepetitions,
    /// Every call with this content in the minute of this moment: two clicks, or two tabs. Not longer, because a
    /// failure on Stripe's side is replayed too. And only of those with one number.
    WithinMinute(Timestamp, i64),
}

impl Client {
    /// Prepares to call the API at `base`, a URL with a trailing slash. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] when the key or the URL cannot be used.
    pub fn new(key: &SecretString, base: &str) -> Result<Self, ProviderError> {
        Ok(Self { transport: Transport::new(key, base)?, heard: Heard::default() })
    }

    /// The connection that the settings describe; none without a key.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] when the key or the URL cannot be used.
    pub fn configured(settings: &crate::settings::Stripe) -> Result<Option<Self>, ProviderError> {
        settings.api_key.as_ref().map(|key| Self::new(key, &settings.api_base)).transpose()
    }

    async fn get<T: miniserde::Deserialize>(&self, path: &str) -> Result<T, ProviderError> {
        self.call(|| RequestBuilder::new(StripeMethod::Get, path), &RequestStrategy::Once).await
    }

    /// The answer as it is: to be read by the types that read events.
    async fn get_value(&self, path: &str, query: &(impl Serialize + Sync)) -> Result<serde_json::Value, ProviderError> {
        let request = || RequestBuilder::new(StripeMethod::Get, path).query(query);
        let answer: miniserde::json::Value = self.call(request, &RequestStrategy::Once).await?;
        let text = miniserde::json::to_string(&answer);
        serde_json::from_str(&text).map_err(|error| ProviderError::Unusable(error.to_string()))
    }

    /// As [`Client::post`], with the answer as it is.
    async fn post_value(
        &self,
        path: &str,
        form: &(impl Serialize + Sync),
        sameness: Sameness,
    ) -> Result<serde_json::Value, ProviderError> {
        let answer: miniserde::json::Value = self.post(path, form, sameness).await?;
        let text = miniserde::json::to_string(&answer);
        serde_json::from_str(&text).map_err(|error| ProviderError::Unusable(error.to_string()))
    }

    async fn post<T: miniserde::Deserialize>(
        &self,
        path: &str,
        form: &(impl Serialize + Sync),
        sameness: Sameness,
    ) -> Result<T, ProviderError> {
        let request = || RequestBuilder::new(StripeMethod::Post, path).form(form);
        let key = match sameness {
            Sameness::OwnRepetitions => IdempotencyKey::new_uuid_v4(),
            Sameness::WithinMinute(now, number) => content_key(&request(), now, number)?,
        };
        self.call(request, &RequestStrategy::Idempotent(key)).await
    }

    async fn delete<T: miniserde::Deserialize>(&self, path: &str) -> Result<T, ProviderError> {
        self.call(|| RequestBuilder::new(StripeMethod::Delete, path), &RequestStrategy::Once).await
    }

    /// Sends until there is an answer, a refusal, or no time left.
    async fn call<T: miniserde::Deserialize>(
        &self,
        request: impl Fn() -> RequestBuilder,
        strategy: &RequestStrategy,
    ) -> Result<T, ProviderError> {
        let attempts = async {
            let mut attempt = 1;
            loop {
                let sent = request().customize::<T>().request_strategy(strategy.clone()).send(&self.transport).await;
                match sent {
                    Err(ProviderError::Unavailable(_)) if attempt < ATTEMPTS_MAX => {
                        tokio::time::sleep(Duration::from_millis(FIRST_PAUSE_MS << (attempt - 1))).await;
                        attempt += 1;
                    }
                    end => return end,
                }
            }
        };
        let limit = Duration::from_secs(CALL_SECONDS_MAX);
        let answer = tokio::time::timeout(limit, attempts).await.unwrap_or_else(|_| Err(ProviderError::too_slow()));
        self.heard.note(&answer);
        answer
    }

    /// The word of its answers on the key.
    pub(crate) const fn heard(&self) -> &Heard {
        &self.heard
    }
}

/// The same for the same content in the same minute, and within Stripe's 255 characters whatever the content.
fn content_key(request: &RequestBuilder, now: Timestamp, number: i64) -> Result<IdempotencyKey, ProviderError> {
    let minute = now.timestamp().div_euclid(60);
    let content = format!("{minute}\n{number}\n{}\n{}", request.path, request.body.as_deref().unwrap_or_default());
    let key = format!("tollgate-{}", hex::encode(Sha256::digest(content)));
    IdempotencyKey::new(key).map_err(|error| ProviderError::Settings(error.to_string()))
}

/// Ids stand in paths; some come from a buyer's browser.
fn checked_id(id: &str) -> Result<&str, ProviderError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if id.is_empty() || id.len() > 255 || !id.bytes().all(plain) {
        return Err(ProviderError::Refused("That is not an id of the payment provider.".into()));
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn key(path: &str, body: &str, second: i64) -> String {
        numbered_key(path, body, second, 1)
    }

    fn numbered_key(path: &str, body: &str, second: i64, number: i64) -> String {
        let mut request = RequestBuilder::new(StripeMethod::Post, path);
        request.body = Some(body.into());
        let now = Timestamp::from_timestamp(second, 0).expect("in range");
        content_key(&request, now, number).expect("a key").into_inner()
    }

    #[test]
    fn equal_calls_within_a_minute_are_the_same_and_no_others() {
        let first = key("/customers", "a=1", 60);
        assert_eq!(first, key("/customers", "a=1", 119));
        for other in [key("/customers", "a=1", 120), key("/customers", "a=2", 60), key("/checkout/sessions", "a=1", 60)]
        {
            assert_ne!(first, other);
        }
        assert_ne!(first, numbered_key("/customers", "a=1", 60, 2));
        assert!(key("/customers", &"x".repeat(5_000), 60).len() <= 255);
    }

    #[test]
    fn an_id_cannot_lead_to_another_path() {
        assert_eq!(checked_id("sub_1Abc"), Ok("sub_1Abc"));
        for id in ["", "../customers/cus_1", "sub_1?expand=x", "sub_1#", "sub 1", &"x".repeat(256)] {
            assert!(checked_id(id).is_err(), "{id:?}");
        }
    }

    /// Answers 503 as often as it is told, then makes a customer; notes the keys it was called with.
    async fn failing_provider(failures: usize) -> (String, Arc<Mutex<Vec<String>>>) {
        let keys = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&keys);
        let answer = move |headers: http::HeaderMap| async move {
            let mut seen = seen.lock().expect("nobody panicked");
            seen.push(headers["idempotency-key"].to_str().expect("ASCII").to_owned());
            if seen.len() <= failures {
                let error = r#"{"error": {"type": "api_error", "message": "try again"}}"#;
                return (http::StatusCode::SERVICE_UNAVAILABLE, error);
            }
            (
                http::StatusCode::OK,
                r#"{"id": "cus_1", "object": "customer", "a_field_of_tomorrow": {"half": "\ud83d"}}"#,
            )
        };
        let router = axum::Router::new().route("/v1/customers", axum::routing::post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (url, keys)
    }

    #[tokio::test]
    async fn a_call_is_repeated_under_one_key_and_not_for_ever() {
        let made = Ok("cus_1".to_owned());
        let given_up = Err(ProviderError::Unavailable("status 503".into()));
        for (failures, calls, expected) in [(0, 1, made.clone()), (2, 3, made), (9, 3, given_up)] {
            let (url, keys) = failing_provider(failures).await;
            let client = Client::new(&"sk_test_1".into(), &url).expect("a client");
            let account = entitlement::account::AccountId::parse("user-1").expect("an id");
            let buyer = Buyer { account: &account, metadata_key: "account" };
            assert_eq!(client.create_customer(buyer, None, Timestamp::UNIX_EPOCH).await, expected);
            let keys = keys.lock().expect("nobody panicked");
            assert_eq!(keys.len(), calls, "{failures} failures");
            assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_not_read_to_its_end() {
        let long = || async { vec![b' '; crate::provider::http::ANSWER_BYTES_MAX + 1] };
        let router = axum::Router::new().fallback(long);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::new(&"sk_test_1".into(), &url).expect("a client");
        let answer = client.get::<miniserde::json::Value>("/customers").await;
        assert_eq!(answer.map(|_| ()), Err(ProviderError::Unusable("it is too long".into())));
    }

    #[test]
    fn the_key_is_never_shown_and_a_bad_one_is_an_error() {
        let client = Client::new(&"sk_test_hidden".into(), "https://api.stripe.com/").expect("a client");
        assert!(!format!("{client:?}").contains("hidden"));
        let bad = Client::new(&"sk_test_hidden\n".into(), "https://api.stripe.com/").map(|_| ());
        assert!(bad.is_err_and(|error| !format!("{error} {error:?}").contains("hidden")));
    }
}
