//! One question to the site: its size and its way are bounded, and it is never sent elsewhere.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::{self, Fault};
use super::{MARK, Settings};
use crate::authorities::Authorities;
use crate::identity::jwks::root;

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Most idle connections to the site that are kept, and for how long: less than sites do, so that few are closed as they are used.
const IDLE_MAX: usize = 8;
const IDLE: Duration = Duration::from_secs(3);

/// Most tries of a question: a connection that was idle may be closed by the site as it is used.
const TRIES_MAX: usize = 2;

const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a question is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(Uri);

/// Why a text is not a place where the site can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    #[error("it is not a URL: write it like \"http://127.0.0.1:3000/internal/session\"")]
    NoUrl,
    #[error("it must not hold a name or a password")]
    Credentials,
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let uri: Uri = text.parse().map_err(|_| LocationError::NoUrl)?;
        let authority = uri.authority().ok_or(LocationError::NoUrl)?;
        if authority.as_str().contains('@') {
            return Err(LocationError::Credentials);
        }
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_host = !authority.host().is_empty() && authority.port_u16() != Some(0);
        if is_http && is_host { Ok(Self(uri)) } else { Err(LocationError::NoUrl) }
    }
}

/// Without the query, which may hold anything.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}{}", self.0.scheme_str().unwrap_or_default(), self.0.path())
    }
}

/// The site, where it is asked.
#[derive(Debug)]
pub(super) struct Site {
    location: Location,
    host: HeaderValue,
    scheme: HeaderValue,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// An answer as it came; its body only where that says anything.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

impl Site {
    pub(super) fn new(settings: Settings) -> Result<Self, rustls::Error> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(Authorities::of_system().client()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        let Settings { location, host, scheme, .. } = settings;
        Ok(Self { location, host, scheme, client })
    }

    pub(super) const fn location(&self) -> &Location {
        &self.location
    }

    /// Asks with this credential alone.
    pub(super) async fn ask(&self, carrier: HeaderName, credential: HeaderValue) -> Result<Answer, Fault> {
        let mut tries = 0;
        let answer = loop {
            tries += 1;
            match self.client.request(self.question(carrier.clone(), credential.clone())).await {
                Ok(answer) => break answer,
                Err(error) if error.is_connect() => return Err(Fault::Unreachable(root(&error))),
                Err(error) if tries >= TRIES_MAX => return Err(Fault::Broken(root(&error))),
                Err(_) => {}
            }
        };
        let has_word = answer::has_word(answer.status())?;
        let (head, body) = answer.into_parts();
        if !has_word {
            return Ok(Answer { headers: head.headers, body: None });
        }
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| match error.downcast_ref() {
            Some(LengthLimitError { .. }) => Fault::TooLong,
            None => Fault::Broken(root(error.as_ref())),
        })?;
        Ok(Answer { headers: head.headers, body: Some(body.to_bytes()) })
    }

    fn question(&self, carrier: HeaderName, credential: HeaderValue) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.location.0.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(PROTO, self.scheme.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
        headers.insert(MARK, HeaderValue::from_static("1"));
        headers.insert(carrier, credential);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_url_without_credentials() {
        for (text, shown) in [
            ("http://127.0.0.1:3000/internal/session", "http://127.0.0.1:3000/internal/session"),
            ("https://read.example/session?key=secret", "https://read.example/session"),
            ("http://app:3000", "http://app:3000/"),
        ] {
            assert_eq!(text.parse::<Location>().map(|location| location.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in
            ["", "/session", "127.0.0.1:3000/session", "ftp://a/b", "unix:/run/app.sock", "http://", "http:///x"]
        {
            assert_eq!(text.parse::<Location>(), Err(LocationError::NoUrl), "{text}");
        }
        assert_eq!("http://a:b@c/".parse::<Location>(), Err(LocationError::Credentials));
    }
}
