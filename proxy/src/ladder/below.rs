//! What is below Redis: the billing component, in this process or behind its internal listener.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use entitlement::account::AccountId;
use entitlement::assertion::{AssertionError, AssertionKey, Claims, LIFETIME_SECONDS};
use entitlement::record::{self, Entitlement, RECORD_BYTES_MAX, RecordError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::AUTHORIZATION;

use crate::clock;

/// The audience of assertions that are meant for billing.
pub const BILLING_AUDIENCE: &str = "tollgate-billing";

/// Who knows the truth about an account.
#[async_trait]
pub trait Below: Send + Sync + 'static {
    /// What the account has. An account that nobody knows has a record of version 0.
    ///
    /// # Errors
    /// When it cannot be said now; the caller falls back to what it has.
    async fn resolve(&self, account: &AccountId) -> Result<Entitlement, BelowError>;

    /// Whether the cache has been told of every change that is not of this very moment. While it has not, neither the cache
    /// nor what is pushed can be relied on.
    ///
    /// # Errors
    /// When it cannot be said now.
    async fn has_told(&self) -> Result<bool, BelowError> {
        Ok(true)
    }

    /// Whether it can be asked at all: what readiness waits for.
    ///
    /// # Errors
    /// When there is no contact.
    async fn reach(&self) -> Result<(), BelowError> {
        Ok(())
    }
}

/// Why billing does not say what an account has.
#[derive(Debug, thiserror::Error)]
pub enum BelowError {
    #[error("billing did not answer in time")]
    Timeout,
    #[error("billing cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("billing answered with status {0}")]
    Status(u16),
    #[error("billing's answer is not a record of the account")]
    Record(#[from] RecordError),
    #[error("billing cannot be asked with a signed assertion")]
    Assertion(#[from] AssertionError),
    #[error("billing failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Billing behind its internal listener: `GET /internal/entitlements/{account}`.
pub struct HttpBilling {
    client: reqwest::Client,
    /// Ends with a slash.
    base: String,
    key: AssertionKey,
    issuer: String,
    deadline: Duration,
}

impl HttpBilling {
    /// Billing at this address. `issuer` is the site's public URL; `deadline` bounds one question and its answer.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        billing: SocketAddr,
        key: AssertionKey,
        issuer: String,
        deadline: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(deadline)
            .timeout(deadline)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self { client, base: format!("http://{billing}/"), key, issuer, deadline })
    }

    /// Proof, for a minute, that it is this proxy that asks about this account.
    fn assertion(&self, account: &AccountId) -> Result<String, AssertionError> {
        let iat = clock::now().timestamp();
        self.key.sign(&Claims {
            iss: self.issuer.clone(),
            aud: BILLING_AUDIENCE.to_owned(),
            sub: account.clone(),
            iat,
            exp: iat + LIFETIME_SECONDS,
            tier: None,
            status: None,
            features: Vec::new(),
            valid_until: None,
        })
    }

    fn failure(error: reqwest::Error) -> BelowError {
        if error.is_timeout() { BelowError::Timeout } else { BelowError::Unreachable(error.without_url()) }
    }
}

#[async_trait]
impl Below for HttpBilling {
    async fn resolve(&self, account: &AccountId) -> Result<Entitlement, BelowError> {
        let id = utf8_percent_encode(account.as_str(), NON_ALPHANUMERIC);
        let request = self.client.get(format!("{}internal/entitlements/{id}", self.base));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.assertion(account)?));
        let mut response = request.send().await.map_err(Self::failure)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(BelowError::Status(response.status().as_u16()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Self::failure)? {
            if text.len() + chunk.len() > RECORD_BYTES_MAX {
                return Err(RecordError::TooLong.into());
            }
            text.extend_from_slice(&chunk);
        }
        Ok(record::decode_for(account, &String::from_utf8_lossy(&text))?)
    }

    async fn has_told(&self) -> Result<bool, BelowError> {
        let response = self.client.get(format!("{}internal/told", self.base)).send().await.map_err(Self::failure)?;
        match response.status() {
            // An older build, which cannot say.
            reqwest::StatusCode::OK | reqwest::StatusCode::NOT_FOUND => Ok(true),
            reqwest::StatusCode::CONFLICT => Ok(false),
            status => Err(BelowError::Status(status.as_u16())),
        }
    }

    async fn reach(&self) -> Result<(), BelowError> {
        // Any answer will do: it is the contact that counts.
        self.client.get(&self.base).send().await.map(|_| ()).map_err(Self::failure)
    }
}

impl std::fmt::Debug for HttpBilling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpBilling")
            .field("base", &self.base)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
