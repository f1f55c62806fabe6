//! Secrets, from the environment alone. None of them is ever printed.

use std::fmt;

use anyhow::{Context, Result, bail};
use entitlement::assertion::AssertionKey;

/// Shortest HS256 secret, in bytes (RFC 7518 section 3.2).
const JWT_SECRET_BYTES_MIN: usize = 32;

/// What the environment holds.
pub struct Secrets {
    pub database_url: Option<String>,
    pub redis_url: Option<String>,
    pub jwt_secret: Option<String>,
    pub assertion_key: Option<String>,
    pub stripe_api_key: Option<String>,
    pub stripe_webhook_secrets: Vec<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

impl Secrets {
    /// Reads the environment.
    pub fn from_env() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads from any source of variables; an empty variable is an absent one.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let list = |name: &str| -> Vec<String> {
            let values = get(name).unwrap_or_default();
            values.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect()
        };
        Self {
            database_url: get("DATABASE_URL"),
            redis_url: get("REDIS_URL"),
            jwt_secret: get("TOLLGATE_JWT_SECRET"),
            assertion_key: get("TOLLGATE_ASSERTION_KEY"),
            stripe_api_key: get("STRIPE_API_KEY"),
            stripe_webhook_secrets: list("STRIPE_WEBHOOK_SECRET"),
        }
    }

    /// The secret that verifies the site's tokens.
    pub fn jwt_secret(&self) -> Result<&str> {
        let secret = self.jwt_secret.as_deref().context(
            "TOLLGATE_JWT_SECRET is not set: set it to the secret with which your site signs its HS256 tokens",
        )?;
        if secret.len() < JWT_SECRET_BYTES_MIN {
            bail!(
                "TOLLGATE_JWT_SECRET is shorter than 32 bytes: make one with `openssl rand -hex 32` and sign the site's tokens with it"
            );
        }
        Ok(secret)
    }

    /// The key that signs assertions, if there is one.
    pub fn assertion_key(&self) -> Result<Option<AssertionKey>> {
        let key = self.assertion_key.as_deref().map(AssertionKey::parse).transpose();
        key.context("TOLLGATE_ASSERTION_KEY")
    }

    /// Whether real money moves with this key.
    pub fn is_live(&self) -> bool {
        self.stripe_api_key.as_deref().is_some_and(|key| key.starts_with("sk_live_") || key.starts_with("rk_live_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        Secrets::read(|name| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn several_webhook_secrets_are_read_and_empty_variables_are_absent() {
        let read = secrets(&[("STRIPE_WEBHOOK_SECRET", "whsec_a, whsec_b,"), ("DATABASE_URL", "  ")]);
        assert_eq!(read.stripe_webhook_secrets, ["whsec_a", "whsec_b"]);
        assert_eq!(read.database_url, None);
    }

    #[test]
    fn a_missing_or_short_secret_says_what_to_do_and_shows_nothing() {
        let missing = secrets(&[]).jwt_secret().expect_err("missing").to_string();
        assert!(missing.contains("TOLLGATE_JWT_SECRET is not set"), "{missing}");
        let short = secrets(&[("TOLLGATE_JWT_SECRET", "hunter2")]);
        let error = short.jwt_secret().expect_err("short").to_string();
        assert!(error.contains("openssl rand -hex 32") && !error.contains("hunter2"), "{error}");
        assert_eq!(format!("{short:?}"), "Secrets([redacted])");
        let key =
            format!("{:#}", secrets(&[("TOLLGATE_ASSERTION_KEY", "hunter2")]).assertion_key().expect_err("short"));
        assert!(key.starts_with("TOLLGATE_ASSERTION_KEY: ") && !key.contains("hunter2"), "{key}");
    }
}
