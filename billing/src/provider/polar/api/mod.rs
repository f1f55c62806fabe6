//! What Tollgate asks of Polar: how subscriptions, orders and refunds stand now, checkouts, portal sessions, and the end
//! of a subscription (<https://polar.sh/docs/api-reference/introduction>).
//!
//! Any call may be repeated: it reads, opens a page that nobody knows of until its answer is here, or says how something
//! shall stand. A redirect is not followed: the token would go with it.

mod list;
mod look;
mod sell;
mod subscription;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::provider::client::ProviderError;
use crate::provider::heard::Heard;
use crate::provider::http::{self as shared, Http};
use crate::provider::text::mended;
use crate::settings::{self, Secret};

pub use super::interpret::Told;

/// How often a call is tried.
const ATTEMPTS_MAX: u32 = 3;

/// The longest wait that Polar can ask for and get; who asked is told to come again instead.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3);

/// The version of the API whose shapes are read here (<https://polar.sh/docs/api-reference/introduction>).
const VERSION: (&str, &str) = ("polar-version", "2026-04");

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// One call in all, with its repetitions.
    call: Duration,
    /// One attempt, from connecting to the last byte of the answer.
    attempt: Duration,
    /// Before the second attempt; each later time twice as long, and up to twice as long again by chance.
    first_pause: Duration,
}

const PATIENCE: Patience = Patience {
    call: Duration::from_secs(10),
    attempt: Duration::from_secs(6),
    first_pause: Duration::from_millis(250),
};

/// A connection to Polar's API. Cloning is cheap. `Debug` does not show the token.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    base: Url,
    headers: HeaderMap,
    patience: Patience,
    heard: Heard,
}

/// One call; what it sends is JSON.
struct Call {
    method: Method,
    url: Url,
    body: Option<Bytes>,
}

/// Why an attempt failed, and when Polar wants the next one.
struct Failed {
    error: ProviderError,
    retry_after: Option<Duration>,
}

impl Client {
    /// Prepares to call the API at `base`, a URL with a trailing slash. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] when the token or the URL cannot be used.
    pub fn new(token: &Secret, base: &str) -> Result<Self, ProviderError> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ProviderError::Settings("the access token has characters that no token has".into()))?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")))),
            (http::HeaderName::from_static(VERSION.0), HeaderValue::from_static(VERSION.1)),
        ]);
        Ok(Self { http: Http::new()?, base: shared::base(base)?, headers, patience: PATIENCE, heard: Heard::default() })
    }

    /// The connection that the settings describe; none without a token.
    ///
    /// # Errors
    /// [`ProviderError::Settings`] when the token or the URL cannot be used.
    pub fn configured(settings: &settings::Polar) -> Result<Option<Self>, ProviderError> {
        settings.access_token.as_ref().map(|token| Self::new(token, &settings.api_base)).transpose()
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, ProviderError> {
        let mut url = self.base.join(path).map_err(|error| ProviderError::Settings(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.call(&Call { method: Method::GET, url, body: None }).await
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, ProviderError> {
        self.send(Method::POST, path, body).await
    }

    async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Value, ProviderError> {
        self.send(Method::PATCH, path, body).await
    }

    async fn delete(&self, path: &str) -> Result<Value, ProviderError> {
        let url = self.base.join(path).map_err(|error| ProviderError::Settings(error.to_string()))?;
        self.call(&Call { method: Method::DELETE, url, body: None }).await
    }

    async fn send(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Value, ProviderError> {
        let settings = |what: String| ProviderError::Settings(what);
        let url = self.base.join(path).map_err(|error| settings(error.to_string()))?;
        let body = serde_json::to_vec(body).map_err(|error| settings(error.to_string()))?;
        self.call(&Call { method, url, body: Some(body.into()) }).await
    }

    /// Asks until there is an answer, a refusal, or no time left.
    async fn call(&self, call: &Call) -> Result<Value, ProviderError> {
        let attempts = async {
            let mut pause = self.patience.first_pause;
            for _ in 1..ATTEMPTS_MAX {
                let failed = match self.attempt_in_time(call).await {
                    Err(failed) if matches!(failed.error, ProviderError::Unavailable(_)) => failed,
                    end => return end.map_err(|failed| failed.error),
                };
                let asked_for = failed.retry_after.unwrap_or_default();
                if asked_for > RETRY_AFTER_MAX {
                    return Err(failed.error);
                }
                tokio::time::sleep(asked_for.max(pause.mul_f64(1.0 + rand::random::<f64>()))).await;
                pause *= 2;
            }
            self.attempt_in_time(call).await.map_err(|failed| failed.error)
        };
        let answer = tokio::time::timeout(self.patience.call, attempts).await.unwrap_or_else(|_| Err(too_slow()));
        self.heard.note(&answer);
        answer
    }

    /// The word of its answers on the token.
    pub(crate) const fn heard(&self) -> &Heard {
        &self.heard
    }

    async fn attempt_in_time(&self, call: &Call) -> Result<Value, Failed> {
        let attempt = tokio::time::timeout(self.patience.attempt, self.attempt(call)).await;
        attempt.unwrap_or_else(|_| Err(Failed::from(too_slow())))
    }

    async fn attempt(&self, call: &Call) -> Result<Value, Failed> {
        let body = Full::new(call.body.clone().unwrap_or_default());
        let request = Request::builder().method(call.method.clone()).uri(call.url.as_str()).body(body);
        let mut request = request.map_err(|error| ProviderError::Settings(error.to_string()))?;
        request.headers_mut().clone_from(&self.headers);
        if call.body.is_some() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let (head, body) = self.http.send(request).await?.into_parts();
        if !matches!(head.status, StatusCode::OK | StatusCode::CREATED) {
            let error = refusal(head.status, &body);
            return Err(Failed { error, retry_after: retry_after(&head.headers) });
        }
        Ok(serde_json::from_str(&mended(&body)).map_err(|error| ProviderError::Unusable(error.to_string()))?)
    }
}

impl From<ProviderError> for Failed {
    fn from(error: ProviderError) -> Self {
        Self { error, retry_after: None }
    }
}

fn too_slow() -> ProviderError {
    ProviderError::Unavailable("no answer in time".into())
}

/// What an answer other than 200 means.
fn refusal(status: StatusCode, body: &[u8]) -> ProviderError {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
        #[serde(default)]
        detail: Value,
        error_description: Option<String>,
    }
    #[derive(Deserialize)]
    struct Invalid {
        detail: Vec<Fault>,
    }
    #[derive(Deserialize)]
    struct Fault {
        msg: String,
    }
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    let named = answer.as_ref().map(|answer| answer.error.as_str());
    let told = || {
        let said = answer.as_ref().and_then(|answer| answer.detail.as_str().or(answer.error_description.as_deref()));
        said.unwrap_or("The payment provider refused.")
    };
    match (status.as_u16(), named) {
        // Not about the token: about the subscription that was to be changed.
        (403, Some("AlreadyCanceledSubscription" | "InactiveSubscription")) => ProviderError::refused(told()),
        (402, Some("PaymentFailed")) => {
            ProviderError::ToldBuyer("The payment failed. Update how it is paid, and try again.".into())
        }
        (400 | 402 | 410, Some(_)) => ProviderError::refused(told()),
        (401, _) => ProviderError::Key,
        (403, _) => ProviderError::right(told()),
        // 409: another change of the same object is under way.
        (408 | 409 | 429 | 500.., _) => ProviderError::Unavailable(format!("status {status}")),
        // Somebody else's 404, of a wrong URL or version, does not say that Polar has no such object.
        (404, Some("ResourceNotFound")) => ProviderError::Missing("Not found".into()),
        (422, _) => match serde_json::from_slice(body).ok().and_then(|Invalid { detail }| detail.into_iter().next()) {
            Some(Fault { msg }) => ProviderError::refused(&msg),
            None => ProviderError::Unusable(format!("status {status}")),
        },
        _ => ProviderError::Unusable(format!("status {status}")),
    }
}

/// The wait that is asked for, in seconds; a date is not understood.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Ids stand in paths and queries; some come from events.
fn checked_id(id: &str) -> Result<&str, ProviderError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if id.is_empty() || id.len() > 255 || !id.bytes().all(plain) {
        return Err(ProviderError::Refused("That is not an id of the payment provider.".into()));
    }
    Ok(id)
}
