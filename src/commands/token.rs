//! `tollgate token`: a token to try things with.

use std::io::Read;

use anyhow::{Context, Result, bail};
use entitlement::account::AccountId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::parts;
use crate::config::Config;
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
    /// Ends with 0 and the ids of the account and of its user when it is accepted, else with 1 and the check in words. A key set is fetched.
    Verify {
        /// The token, or what a cookie holds; `-` reads it from standard input, where no other user sees it
        #[arg(allow_hyphen_values = true)]
        token: String,
    },
}

/// What a token says.
struct Claims<'a> {
    iss: Option<&'a str>,
    aud: Option<&'a str>,
    /// The claim that names the account, and what it says.
    account: (&'a str, &'a str),
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

/// A token of the command line; `-` reads it from standard input.
///
/// # Errors
/// When that is no text.
pub fn given(token: &str) -> Result<String> {
    let mut token = token.to_owned();
    if token == "-" {
        token.clear();
        std::io::stdin().take(TOKEN_BYTES_MAX).read_to_string(&mut token).context("standard input is no text")?;
    }
    Ok(token.trim().to_owned())
}

fn verify(token: &str, config: &Config, secrets: &Secrets) -> Result<()> {
    logging::start_quiet();
    let token = given(token)?;
    let identity = proxy::identity::Identity::new(config.identity_settings(secrets)?)?;
    if !identity.reads_tokens() {
        bail!("no way under [identity] reads tokens: accounts are known by {}", config.identity.describe());
    }
    let runtime = parts::runtime()?;
    identity.follow(runtime.handle());
    runtime.block_on(identity.reach())?;
    match identity.check(&token, parts::now()) {
        Ok(principal) => {
            let (account, user, is_buyer) = (&principal.account, principal.user(), principal.is_buyer());
            let user_told = user.map(|user| format!(", for which the user {user} acts")).unwrap_or_default();
            let right = if is_buyer { "" } else { "; organisation.buyers lets this user not buy" };
            output::line(format_args!("the gate accepts it: it is of the account {account}{user_told}{right}"));
            let mut told = json!({ "accepted": true, "account": account, "buyer": is_buyer });
            if let Some(user) = user {
                told["user"] = json!(user);
            }
            output::json(&told)
        }
        Err(refusal) => {
            output::json(&json!({ "accepted": false, "reason": refusal.code() }))?;
            bail!("the gate refuses it: {}: {refusal}", refusal.code())
        }
    }
}

/// Prints the token alone, so that it can be used in a command substitution.
fn print(account: &AccountId, config: &Config, secrets: &Secrets) -> Result<()> {
    let Some((way, algorithm)) = config.identity.with_secret() else {
        bail!(
            "`tollgate token` signs with TOLLGATE_JWT_SECRET, but here tokens are verified by {}: sign in on the site instead",
            config.identity.describe()
        );
    };
    let Some((claim, named)) = way.token_claim(account) else {
        bail!("`tollgate token` cannot write a token of that account: look at `account` and `prefix` of [identity]");
    };
    let secret = secrets.jwt_secret()?;
    if secrets.is_live() || !(is_development(config.site_host()) || secret.starts_with("dev")) {
        bail!(
            "`tollgate token` is for development keys only: here site.url is {} and a token would be real. \
             Sign in on the site instead",
            config.site_url()
        );
    }
    let (site, host) = (config.site_url(), config.site_host().to_owned());
    let first = |texts: Vec<String>| texts.into_iter().next();
    let (issuer, audience) = (first(way.issuers(&site)), first(way.audiences(&host)));
    let claims = Claims { iss: issuer.as_deref(), aud: audience.as_deref(), account: (&claim, &named) };
    let token = sign(&claims, (secret, algorithm))?;
    output::json(&json!({ "account": account, "token": token }))?;
    output::line(token);
    Ok(())
}

/// Signs a token that the gate accepts.
fn sign(claims: &Claims<'_>, (secret, algorithm): (&str, Algorithm)) -> Result<String> {
    let iat = parts::now().timestamp();
    let (claim, named) = claims.account;
    let mut all = json!({ "iat": iat, "exp": iat + LIFETIME_SECONDS, claim: named });
    for (name, value) in [("iss", claims.iss), ("aud", claims.aud)] {
        if let Some(value) = value {
            all[name] = value.into();
        }
    }
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(algorithm), &all, &key)?)
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
