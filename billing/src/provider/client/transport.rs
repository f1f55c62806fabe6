//! How a call gets to Stripe: what async-stripe's requests need of a client.
//!
//! The client that async-stripe brings reads each error into a type that may hold any of Stripe's objects; a quarter of the program was
//! code to read them. Here an error is what is decided by, and both providers are called by one HTTP client.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use stripe_client_core::{
    CustomizedStripeRequest, RequestStrategy, StripeClient, StripeClientErr, StripeMethod, VERSION,
};
use url::Url;

use super::error::ProviderError;
use crate::provider::http::{self as shared, Http};
use crate::provider::text::mended;

/// How long one attempt may take, from connecting to the last byte of the answer.
const ATTEMPT_MAX: Duration = Duration::from_secs(6);

/// The path of all calls: what async-stripe's requests name is below it.
const API: &str = "v1";

/// One attempt at a time, whose answer is mended before it is read. `Debug` does not show the key.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: Http,
    base: Url,
    headers: HeaderMap,
}

impl Transport {
    /// # Errors
    /// [`ProviderError::Settings`] when the key or the URL, which ends with a slash, cannot be used.
    pub fn new(key: &SecretString, base: &str) -> Result<Self, ProviderError> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
            .map_err(|_| ProviderError::Settings("the key has characters that no key has".into()))?;
        authorization.set_sensitive(true);
        let version = HeaderValue::try_from(VERSION.as_str())
            .map_err(|_| ProviderError::Settings("the version of the API is no header".into()))?;
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")))),
            (HeaderName::from_static("stripe-version"), version),
        ]);
        Ok(Self { http: Http::new()?, base: shared::base(base)?, headers })
    }

    fn request(&self, request: CustomizedStripeRequest) -> Result<Request<Full<Bytes>>, ProviderError> {
        let (request, options) = request.into_pieces();
        let mut url = format!("{}{API}{}", self.base, request.path);
        if let Some(query) = request.query {
            url = format!("{url}?{query}");
        }
        let method = match request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let unusable = |error: http::Error| ProviderError::Settings(error.to_string());
        let mut built = Request::builder().method(method).uri(url);
        if let Some(headers) = built.headers_mut() {
            headers.clone_from(&self.headers);
        }
        if let Some(key) = options.request_strategy.as_ref().and_then(RequestStrategy::get_key) {
            built = built.header(HeaderName::from_static("idempotency-key"), key.as_str());
        }
        if request.body.is_some() {
            built = built.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        built.body(Full::new(request.body.unwrap_or_default().into())).map_err(unusable)
    }
}

impl StripeClient for Transport {
    type Err = ProviderError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, Self::Err> {
        let sent = tokio::time::timeout(ATTEMPT_MAX, self.http.send(self.request(request)?)).await;
        let (head, body) = sent.unwrap_or_else(|_| Err(ProviderError::too_slow()))?.into_parts();
        let mended = match mended(&body) {
            Cow::Borrowed(_) => None,
            Cow::Owned(text) => Some(text),
        };
        let body = mended.map_or(body, Bytes::from);
        if head.status.is_success() { Ok(body) } else { Err(ProviderError::of_answer(head.status.as_u16(), &body)) }
    }
}

impl StripeClientErr for ProviderError {
    fn deserialize_err(message: impl Display) -> Self {
        Self::Unusable(message.to_string())
    }
}
