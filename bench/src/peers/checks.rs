//! What every gate must do before it is measured: one that lets everybody through would measure well.

use anyhow::{Result, ensure};

use super::contender::{Running, Who};
use super::stage::{FREE_ACCOUNT, Stage};
use crate::http::{self, Connection};
use crate::webhooks::paid_account;
use crate::world::{PAID_ECHO, PAID_PAGE, Tokens};

const OPEN_ECHO: &str = "/open/echo";
const PAGE_BYTES: usize = 1024;
/// Who a client claims to be.
const IMPOSTOR: &str = "root";
/// Long enough ago for every allowance.
const EXPIRED_SECONDS: i64 = -600;
/// The free account's token outlives the run.
const LIFETIME_SECONDS: i64 = 24 * 3600;

/// Checks a contender that has just started.
///
/// # Errors
/// When it answers anything but what it must; the error says which.
pub async fn check(who: Who, running: &Running, stage: &Stage<'_>) -> Result<()> {
    let secrets = &stage.world.secrets;
    let mut connection = Connection::new(running.target);
    let paid = paid_account(0);
    let token = secrets.token_by(who.tokens(), &paid)?;
    let page = connection.exchange(&http::get(PAID_PAGE, Some(&token))).await?;
    ensure!((page.status, page.body.len()) == (200, PAGE_BYTES), "the page was answered {}", page.status);
    if !who.gates() {
        return Ok(());
    }
    told(&mut connection, who, http::get(PAID_ECHO, Some(&token)), (&paid, "paid")).await?;
    let mut turned_away = vec![
        ("nobody", None),
        ("a forger", Some(secrets.forged(&paid, &"wrong".repeat(8))?)),
        ("a meddler", Some(meddled(&token))),
        ("an expired token", Some(secrets.token_of(&paid, "paid", EXPIRED_SECONDS)?)),
        ("an unsigned token", Some(crate::secrets::Secrets::unsigned(&paid))),
    ];
    if let Some((_, key)) = secrets.public_key(who.tokens()) {
        turned_away.push(("HS256 with the public key", Some(secrets.forged(&paid, key)?)));
    }
    for (name, token) in turned_away {
        let status = connection.exchange(&http::get(PAID_PAGE, token.as_deref())).await?.status;
        ensure!(status == 401, "{name} was answered {status}");
    }
    if who.tokens() != Tokens::Hs256 {
        return Ok(());
    }
    let free = secrets.token_of(FREE_ACCOUNT, "free", LIFETIME_SECONDS)?;
    let status = connection.exchange(&spoofed(PAID_PAGE, who, &free)).await?.status;
    ensure!(matches!(status, 402 | 403), "a free account was answered {status}");
    told(&mut connection, who, spoofed(OPEN_ECHO, who, &free), (FREE_ACCOUNT, "free")).await
}

/// What the site is told of the account and its tier: that, and nothing else.
async fn told(connection: &mut Connection, who: Who, request: Vec<u8>, (account, tier): (&str, &str)) -> Result<()> {
    let answer = connection.exchange(&request).await?;
    ensure!(answer.status == 200, "{account} was answered {} where it may pass", answer.status);
    let head = String::from_utf8_lossy(answer.body).to_lowercase();
    let [of_account, of_tier] = names(who);
    for expected in [format!("{of_account}: {account}\r\n"), format!("{of_tier}: {tier}\r\n")] {
        ensure!(head.contains(&expected), "the site was not told {expected:?}");
    }
    ensure!(!head.contains(&format!(": {IMPOSTOR}\r\n")), "the site was told what the client made up");
    Ok(())
}

/// The headers by which a contender tells who it is.
fn names(who: Who) -> [&'static str; 2] {
    if who.is_tollgate() { ["x-entitlement-account", "x-entitlement-tier"] } else { ["x-user-id", "x-user-tier"] }
}

/// A request that brings such headers of its own.
fn spoofed(path: &str, who: Who, token: &str) -> Vec<u8> {
    let [account, tier] = names(who);
    format!(
        "GET {path} HTTP/1.1\r\nHost: read.example\r\nAuthorization: Bearer {token}\r\n{account}: {IMPOSTOR}\r\n{tier}: {IMPOSTOR}\r\n\r\n"
    )
    .into_bytes()
}

/// A good token with another signature of the same length.
fn meddled(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    let turned = signature.chars().map(|letter| if letter == 'A' { 'B' } else { 'A' });
    format!("{signed}.{}", turned.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meddled_token_keeps_its_claims_alone() {
        assert_eq!(meddled("head.claims.AbC"), "head.claims.BAA");
    }
}
