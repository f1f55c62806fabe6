//! One fetch of a key set: its size, its time and the way there are limited, and it is never sent elsewhere.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::authorities::Authorities;

/// How long one fetch may take, from the name of the host to the last byte.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// Largest set, in bytes: one with a hundred certificates in it has less.
const SET_BYTES_MAX: usize = 256 * 1024;

/// Where a key set is published: https, or http on this host itself; http anywhere only where an operator says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(Uri);

/// Why a text is not a place from which keys may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("it is not a URL")]
    NoUrl,
    #[error(
        "it must be https:// (http:// is for loopback only, or with jwks_insecure = true inside a network that you trust)"
    )]
    Insecure,
    #[error("it must not hold a name or a password")]
    Credentials,
}

impl Location {
    /// Any host by http too: an attacker in between could put in keys of their own.
    ///
    /// # Errors
    /// When it is no URL, or holds credentials.
    pub fn insecure(text: &str) -> Result<Self, LocationError> {
        let uri: Uri = text.parse().map_err(|_| LocationError::NoUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(LocationError::NoUrl);
        };
        if authority.as_str().contains('@') {
            return Err(LocationError::Credentials);
        }
        match scheme {
            _ if authority.host().is_empty() || authority.port_u16() == Some(0) => Err(LocationError::NoUrl),
            "https" | "http" => Ok(Self(uri)),
            _ => Err(LocationError::Insecure),
        }
    }

    /// Whether keys come unprotected over a network.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let is_loopback =
            host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        self.0.scheme_str() == Some("http") && !is_loopback
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let location = Self::insecure(text)?;
        if location.is_insecure() { Err(LocationError::Insecure) } else { Ok(location) }
    }
}

/// Without the query, which may hold anything.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}{}", self.0.scheme_str().unwrap_or_default(), self.0.path())
    }
}

/// Why there is no new set.
#[derive(Debug, thiserror::Error)]
pub(in crate::identity) enum FetchError {
    #[error("the host does not answer within 5 s")]
    Slow,
    #[error("the host cannot be reached: {0}")]
    Unreachable(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the answer has status {0}; redirects are not followed")]
    Status(u16),
    #[error("the answer is longer than 256 KiB")]
    TooLong,
    #[error("the answer is not a JWK set")]
    NoSet,
    #[error("the set has no key for the configured algorithms")]
    NoKey,
}

/// Fetches one key set.
#[derive(Debug)]
pub(super) struct Fetcher {
    location: Location,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Fetcher {
    pub(super) fn new(location: Location) -> Result<Self, rustls::Error> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(Authorities::of_system().client()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        // Fetches are rare: a connection in between would only get old.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { location, client })
    }

    /// The body of the answer.
    pub(super) async fn fetch(&self) -> Result<Bytes, FetchError> {
        timeout(DEADLINE, self.answer()).await.unwrap_or(Err(FetchError::Slow))
    }

    async fn answer(&self) -> Result<Bytes, FetchError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.location.0.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, http::HeaderValue::from_static("application/jwk-set+json, application/json"));
        headers.insert(USER_AGENT, http::HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
        let answer = self.client.request(request).await.map_err(|error| {
            let why = root(&error);
            if error.is_connect() { FetchError::Unreachable(why) } else { FetchError::Broken(why) }
        })?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), SET_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast_ref() {
            Some(LengthLimitError { .. }) => FetchError::TooLong,
            None => FetchError::Broken(root(error.as_ref())),
        })?;
        Ok(body.to_bytes())
    }
}

/// What an error rests on in the end: a certificate, a name, a refused connection.
pub(in crate::identity) fn root(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
