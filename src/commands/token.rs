//! `tollgate token`: a token to try things with.

use std::io::Read;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entitlement::account::AccountId;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::parts;
use crate::config::Config;
use crate::config::secrets::Secrets;
use crate::{ConfigFile, logging, output};

/// Seconds for which a development token is valid.
const LIFETIME_SECONDS: i64 = 8 * 3600;

/// Most of standard input that is read for a token, in bytes.
const TOKEN_BYTES_MAX: u64 = 128 * 1024;

/// The claims that are compared, besides those that name account and user.
const COMPARED: [&str; 5] = ["iss", "aud", "azp", "exp", "nbf"];

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

/// A token without what stands before it in a line of `Authorization` or of `Cookie`, as it is copied from a browser; of `cookies`, the
/// names that hold credentials, also what is no token by itself, whole or in pieces.
fn bare(line: &str, cookies: &[&str]) -> String {
    let held = |(name, value): &(&str, &str)| cookies.contains(name).then(|| (*value).to_owned());
    let written: Vec<(&str, &str)> = line
        .trim_start_matches("Cookie:")
        .split(';')
        .filter_map(|part| part.trim().split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let number = |name: &str| {
        let of = |cookie: &&str| name.strip_prefix(*cookie)?.trim_start_matches(['.', '_']).parse::<u8>().ok();
        cookies.iter().find_map(of)
    };
    let mut pieces: Vec<(u8, &str)> =
        written.iter().filter_map(|(name, value)| Some((number(name)?, *value))).collect();
    pieces.sort_unstable();
    if let Some(held) = written.iter().find_map(held) {
        return held;
    }
    if !pieces.is_empty() {
        return pieces.into_iter().map(|(_, piece)| piece).collect();
    }
    let last = line.rsplit([' ', '=']).next().unwrap_or_default();
    if last.split('.').count() == 3 { last.to_owned() } else { line.to_owned() }
}

fn verify(token: &str, config: &Config, secrets: &Secrets) -> Result<()> {
    logging::start_quiet();
    let cookies: Vec<&str> = config.identity.ways.iter().flat_map(|way| &way.cookies).map(String::as_str).collect();
    let token = bare(&given(token)?, &cookies);
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
        Err(ways) => {
            let said = said(&token);
            let Some((_, nearest)) = ways.last() else { bail!("the gate refuses it") };
            let each: Vec<_> =
                ways.iter().map(|(way, refusal)| json!({ "way": way, "reason": refusal.code() })).collect();
            output::json(&json!({ "accepted": false, "reason": nearest.code(), "ways": each, "says": said }))?;
            for (way, refusal) in ways.iter().filter(|_| ways.len() > 1) {
                output::line(format_args!("{way}: {}", refusal.code()));
            }
            if let Some(said) = said.as_object() {
                let said: Vec<_> = said.iter().map(|(name, value)| format!("{name} {value}")).collect();
                output::line(format_args!("the token says: {}", said.join(", ")));
            }
            for way in config.identity.wanted((&config.site_url(), config.site_host())) {
                output::line(way);
            }
            bail!("the gate refuses it: {}: {nearest}", nearest.code())
        }
    }
}

/// The head and the claims of a token, as far as they are compared; null where it is no token. Nothing of it is verified.
fn said(token: &str) -> Value {
    let part =
        |text: &str| URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    let mut parts = token.split('.').map(part);
    let (Some(Some(head)), Some(Some(claims))) = (parts.next(), parts.next()) else { return Value::Null };
    let named = [("alg", &head), ("kid", &head)].into_iter().chain(COMPARED.map(|name| (name, &claims)));
    let there = named.filter_map(|(name, part)| Some((name.to_owned(), part.get(name)?.clone())));
    Value::Object(there.collect())
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
    fn what_stands_before_a_token_is_left_out() {
        for line in
            ["a.b.c", "Bearer a.b.c", "Authorization: Bearer a.b.c", "session=a.b.c", "Cookie: x=y; session=a.b.c"]
        {
            assert_eq!(bare(line, &["auth"]), "a.b.c");
        }
        for line in ["base64-eyJ9==", "opaque", "", "a.b.c.d.e"] {
            assert_eq!(bare(line, &["auth"]), line);
        }
        for line in [
            "auth=base64-eyJ9==",
            "Cookie: x=y; auth=base64-eyJ9==; auth.0=stale",
            "auth.1=-eyJ9==; a=b; auth.0=base64",
            "auth=\"base64-eyJ9==\"",
        ] {
            assert_eq!(bare(line, &["auth"]), "base64-eyJ9==");
        }
    }

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
