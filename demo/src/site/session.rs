//! Signing in: a JWT in a cookie. Tollgate verifies it; the site itself never reads it back.

use anyhow::{Context, Result};
use chrono::Duration;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Settings;
use crate::Timestamp;

/// How long a session lasts.
const SESSION_HOURS: i64 = 8;
/// The longest path that a login leads back to, in bytes.
const NEXT_BYTES_MAX: usize = 2048;

/// Makes and ends sessions.
pub struct Sessions {
    key: EncodingKey,
    issuer: String,
    audience: String,
    cookie: String,
    /// `; Secure` where the site is reached by https.
    secure: &'static str,
}

/// What the token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
}

impl Sessions {
    pub fn new(settings: Settings, public: &Url) -> Self {
        Self {
            key: EncodingKey::from_secret(settings.jwt_secret.as_bytes()),
            issuer: settings.issuer,
            audience: settings.audience,
            cookie: settings.cookie,
            secure: if public.scheme() == "https" { "; Secure" } else { "" },
        }
    }

    /// The `Set-Cookie` that signs `user` in at `now`.
    pub fn begin(&self, user: &str, now: Timestamp) -> Result<String> {
        let lifetime = Duration::hours(SESSION_HOURS);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.to_owned(),
            iat: now.timestamp(),
            exp: (now + lifetime).timestamp(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)
            .context("the session cannot be signed")?;
        Ok(self.cookie(&token, lifetime.num_seconds()))
    }

    /// The `Set-Cookie` that signs out.
    pub fn end(&self) -> String {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, seconds: i64) -> String {
        let (name, secure) = (&self.cookie, self.secure);
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// Where a login leads back to: a path of this site, or the front page. Never another site (CWE-601).
pub fn local_path(next: Option<&str>) -> &str {
    next.filter(|next| is_local(next)).unwrap_or("/")
}

fn is_local(next: &str) -> bool {
    // Browsers read a backslash as a slash, and `//host` as another site.
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    plain && next.len() <= NEXT_BYTES_MAX && next.starts_with('/') && !next.starts_with("//")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    #[test]
    fn a_login_leads_back_to_this_site_only() {
        for next in ["/", "/premium/a?b=c", "/a//b", "/%2F%2Fevil.example"] {
            assert_eq!(local_path(Some(next)), next);
        }
        let long = format!("/{}", "a".repeat(NEXT_BYTES_MAX));
        let strangers = [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "evil",
            "/a\r\nSet-Cookie: b",
            "/ü",
            &long,
        ];
        for next in strangers {
            assert_eq!(local_path(Some(next)), "/", "{next:?}");
        }
        assert_eq!(local_path(None), "/");
    }

    fn sessions(public_url: &str) -> Sessions {
        let public = Url::parse(public_url).expect("a URL");
        Sessions::new(Settings::new(public_url, "a secret of at least 32 bytes, yes"), &public)
    }

    #[test]
    fn the_cookie_is_safe_and_its_token_lasts_8_hours() {
        let now = Timestamp::from_timestamp(1_700_000_000, 0).expect("a moment");
        let cookie = sessions("http://127.0.0.1:8080").begin("alice", now).expect("a cookie");
        let (token, attributes) = cookie.strip_prefix("session=").and_then(|rest| rest.split_once(';')).expect("parts");
        assert_eq!(attributes, " Path=/; Max-Age=28800; HttpOnly; SameSite=Lax");

        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.required_spec_claims = HashSet::new();
        validation.set_issuer(&["http://127.0.0.1:8080"]);
        validation.set_audience(&["127.0.0.1:8080"]);
        let key = DecodingKey::from_secret(b"a secret of at least 32 bytes, yes");
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).expect("a valid token").claims;
        assert_eq!((claims.sub.as_str(), claims.exp - claims.iat), ("alice", 8 * 3600));
    }

    #[test]
    fn the_cookie_is_secure_where_the_site_is() {
        assert!(sessions("https://read.example").end().ends_with("SameSite=Lax; Secure"));
        assert!(sessions("https://read.example").end().starts_with("session=; Path=/; Max-Age=0;"));
    }
}
