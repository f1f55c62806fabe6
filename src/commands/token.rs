//! `tollgate token`: a token to try things with.

use std::io::Read;

use anyhow::{Context, Result, bail};
use chrono::Utc;
use entitlement::account::AccountId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::json;

use super::parts;
use crate::config::Config;
use crate::config::identity::Source;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Seconds for which a development token is valid.
const LIFETIME_SECONDS: i64 = 8 * 3600;

/// Most of standard input that is read for a token, in bytes.
const TOKEN_BYTES_MAX: u64 = 128 * 1024;

/// Top-level domains that are nobody's (RFC 2606, RFC 6761): a site there is not in production.
const RESERVED: [&str; 4] = ["example", "test", "localhost", "invalid"];

/// Print a development token for an account
///
/// The token is signed with TOLLGATE_JWT_SECRET and is valid for 8 hours. Refused outside development: the site must be
/// on loopback or under .example, .test, .localhost or .invalid, or the secret must begin with "dev", and no live provider
/// key may be set.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// The account id: the token's `sub`
    #[arg(required = true)]
    account: Option<AccountId>,
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Say whether the gate accepts a token, and which check fails
    ///
    /// Ends with 0 and the account's id when it is accepted, else with 1 and the check in words. A key set is fetched.
    Verify {
        /// The token, or what a cookie holds; `-` reads it from standard input, where no other user sees it
        #[arg(allow_hyphen_values = true)]
        token: String,
    },
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a AccountId,
    iat: i64,
    exp: i64,
}

/// Prints a new token, or says of one whether it is accepted.
pub fn run(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.file.config)?;
    let secrets = Secrets::from_env()?;
    match &arguments.action {
        Some(Action::Verify { token }) => verify(token, &config, &secrets),
        None => print(arguments.account.as_ref().context("an account is needed")?, &config, &secrets),
    }
}

fn verify(token: &str, config: &Config, secrets: &Secrets) -> Result<()> {
    logging::start_quiet();
    let mut token = token.to_owned();
    if token == "-" {
        token.clear();
        std::io::stdin().take(TOKEN_BYTES_MAX).read_to_string(&mut token).context("standard input is no text")?;
    }
    let identity = proxy::identity::Identity::new(parts::identity_settings(config, secrets)?)?;
    let runtime = parts::runtime()?;
    identity.follow(runtime.handle());
    runtime.block_on(identity.reach())?;
    match identity.check(token.trim(), parts::now()) {
        Ok(account) => {
            output::line(format_args!("the gate accepts it: it is of the account {account}"));
            output::json(&json!({ "accepted": true, "account": account }))
        }
        Err(refusal) => {
            output::json(&json!({ "accepted": false, "reason": refusal.code() }))?;
            bail!("the gate refuses it: {}: {refusal}", refusal.code())
        }
    }
}

/// Prints the token alone, so that it can be used in a command substitution.
fn print(account: &AccountId, config: &Config, secrets: &Secrets) -> Result<()> {
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
    let token = sign(account, &config.issuer(), &config.audience(), (secret, algorithm))?;
    output::json(&json!({ "account": account, "token": token }))?;
    output::line(token);
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
