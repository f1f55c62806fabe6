//! The HTTP client through which each provider is called.
//!
//! A redirect is not followed: the key would go with it.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use super::client::ProviderError;

/// How long it may take to connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Largest answer, in bytes: a page of a hundred subscriptions, each with its product, has about one million.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Connections to a provider, shared by all clones.
#[derive(Clone, Debug)]
pub(super) struct Http(hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    /// # Errors
    /// [`ProviderError::Settings`] when TLS cannot be set up.
    pub fn new() -> Result<Self, ProviderError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| ProviderError::Settings(error.to_string()))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self(client))
    }

    /// Sends one request and reads the answer to its end.
    ///
    /// # Errors
    /// [`ProviderError::Unavailable`] without an answer, and [`ProviderError::Unusable`] when it is longer than [`ANSWER_BYTES_MAX`].
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, ProviderError> {
        let broke = || ProviderError::Unavailable("the connection broke".into());
        let answer = self.0.request(request).await.map_err(|error| {
            if error.is_connect() { ProviderError::Unavailable("it cannot be reached".into()) } else { broke() }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast_ref() {
            Some(LengthLimitError { .. }) => ProviderError::Unusable("it is too long".into()),
            None => broke(),
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// The address of a provider's API, which has a scheme of HTTP and can be gone on from.
///
/// # Errors
/// [`ProviderError::Settings`] else.
pub(super) fn base(url: &str) -> Result<Url, ProviderError> {
    let unusable = |what: &str| ProviderError::Settings(what.to_owned());
    let base: Url = url.parse().map_err(|_| unusable("the URL of the API is no URL"))?;
    if !matches!(base.scheme(), "https" | "http") || base.cannot_be_a_base() {
        return Err(unusable("the URL of the API is not of HTTP"));
    }
    Ok(base)
}
