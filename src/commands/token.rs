//! `tollgate token`: a token to try things with.

use anyhow::{Result, bail};
use chrono::Utc;
use entitlement::account::AccountId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::config::Config;
use crate::config::identity::Source;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, output};

/// Seconds for which a development token is valid.
const LIFETIME_SECONDS: i64 = 8 * 3600;

/// Top-level domains that are nobody's (RFC 2606, RFC 6761): a site there is not in production.
const RESERVED: [&str; 4] = ["example", "test", "localhost", "invalid"];

/// Print a development token for an account
///
/// The token is signed with TOLLGATE_JWT_SECRET and is valid for 8 hours. Refused outside development: the site must be
/// on loopback or under .example, .test, .localhost or .invalid, or the secret must begin with "dev", and no live provider
/// key may be set.
#[derive(clap::Args)]
pub struct Arguments {
    /// The account id: the token's `sub`
    account: AccountId,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a AccountId,
    iat: i64,
    exp: i64,
}

/// Prints the token alone, so that it can be used in a command substitution.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.file.config)?;
    let secrets = Secrets::from_env()?;
    let Source::Secret(algorithm) = config.identity.source else {
        bail!(
            "`tollgate token` signs with TOLLGATE_JWT_SECRET, but here tokens are verified by {}: sign in on the site instead",
            config.identity.source.describe()
        );
    };
    let secret = secrets.jwt_secret()?;
    if secrets.is_live() || !(is_development(config.site_host()) || secret.starts_with("dev")) {
        bail!(
            "`tollgate token` is for development keys only: here site.url is {} and a token would be real. \
             Sign in on the site instead",
            config.site_url()
        );
    }
    output::line(sign(&arguments.account, &config.issuer(), &config.audience(), (secret, algorithm))?);
    Ok(())
}

/// Signs a token for `account` that the gate accepts.
#[expect(clippy::disallowed_methods, reason = "a command is where time comes in")]
fn sign(account: &AccountId, issuer: &str, audience: &str, (secret, algorithm): (&str, Algorithm)) -> Result<String> {
    let iat = Utc::now().timestamp();
    let claims = Claims { iss: issuer, aud: audience, sub: account, iat, exp: iat + LIFETIME_SECONDS };
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(algorithm), &claims, &key)?)
}

fn is_development(host: &str) -> bool {
    let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback || RESERVED.contains(&host.rsplit('.').next().unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_nobodys_are_development() {
        for host in ["127.0.0.1", "[::1]", "localhost", "read.example", "shop.test", "a.localhost"] {
            assert!(is_development(host), "{host}");
        }
        for host in ["read.com", "example.com", "10.0.0.1", "localhost.evil.io", "test.io"] {
            assert!(!is_development(host), "{host}");
        }
    }
}
