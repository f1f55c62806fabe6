//! Back from paying: the buyer may be faster than the webhook, and must not be turned away for it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use cache::Sparing;
use entitlement::account::AccountId;
use entitlement::assertion::Claims;
use entitlement::own_paths::OwnPaths;
use http::HeaderMap;
use http::header::SET_COOKIE;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::frame::Frame;
use super::html;
use super::look::{Pages, Spoken};
use crate::Billing;
use crate::api::Visitor;
use crate::api::standing::{self, Standing};
use crate::checkout::{self, links, onward};
use crate::problem::Problem;

/// How long the answer is held back, waiting for a purchase to take effect: the page looks again by itself.
const WAIT_SECONDS_MAX: u64 = 2;

/// How long the provider may take to say what was bought; its webhook may still be faster.
const CONFIRM_SECONDS_MAX: u64 = 4;

/// How often it is looked whether the purchase has taken effect.
const LOOK_EVERY_MS: u64 = 100;

/// How many buyers are waited for at once, so that they cannot take the database from everybody else.
static WAITING: Semaphore = Semaphore::const_new(64);

/// After how long the page that waits asks again.
const REFRESH_SECONDS: u32 = 2;

/// How often it asks by itself: a few minutes in all. Then a link is left, for a forgotten window must not ask for ever.
const TRIES_MAX: u32 = 20;

/// What the page is told in its address. The session's id stands there too, for whoever has to help: what the account
/// has decides, not what the address says.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    next: Option<String>,
    session_id: Option<String>,
    /// How often the page has asked again.
    tries: Option<u32>,
}

#[derive(Template)]
#[template(path = "confirming.html")]
struct Confirming<'a> {
    frame: Frame<'a>,
    refresh_seconds: u32,
    /// Where the page asks again.
    again: String,
    by_itself: bool,
    /// Whether a purchase is known: else the words are for a visitor who may not have bought anything.
    is_bought: bool,
}

/// The purchase of a visitor who comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purchase {
    InEffect,
    /// It is known, and not in effect yet.
    Awaited,
    /// The address names a checkout that is not the account's last: anybody can write that.
    Claimed,
    /// No purchase is known.
    Unknown,
}

/// `GET /billing/return`
pub async fn get(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let settings = billing.settings();
    let next = onward::next(&headers, asked.session_id.as_deref(), asked.next.as_deref(), settings.own_paths());
    let Some(claims) = claims else {
        let back = links::with_next(&settings.own_paths().of(links::RETURN_PATH), next.as_deref());
        return Ok(html::see_other(&links::signing_in(&settings.login, &back)));
    };
    let purchase = purchase(&billing, &claims.sub, asked.session_id.as_deref()).await;
    if purchase != Purchase::InEffect {
        let is_bought = purchase != Purchase::Unknown;
        // Once for a buyer, not each time that the page looks again.
        if purchase == Purchase::Awaited && asked.tries.is_none() {
            static AWAITED: Sparing = Sparing::new();
            if let Some(untold) = AWAITED.tells(&"") {
                tracing::warn!(account = %claims.sub, untold, "a buyer is back, and the purchase has not taken effect yet: `tollgate events list` shows whether its webhook came");
            }
        } else if purchase == Purchase::Claimed {
            tracing::debug!(account = %claims.sub, "a visitor is back from a checkout that is not the last of the account");
        }
        return Ok(html::page(&confirming((&billing, &look), &claims, &asked, (next.as_deref(), is_bought))));
    }
    // The next page is asked for at once, so the cache must know by then. Where it cannot be told, the proxy asks
    // billing before it denies.
    billing.publish_once_more(&claims.sub, crate::clock::now()).await;
    let account = settings.own_paths().of("/billing?upgraded=1");
    let mut answer = html::see_other(next.as_deref().unwrap_or(&account));
    let forgotten = onward::forgotten(&headers, settings);
    answer.headers_mut().extend(forgotten.map(|cookie| (SET_COOKIE, cookie)));
    Ok(answer)
}

fn confirming<'a>(
    (billing, look): (&'a Billing, &'a Pages),
    claims: &Claims,
    asked: &Asked,
    (next, is_bought): (Option<&str>, bool),
) -> Confirming<'a> {
    let texts = &look.texts.back;
    let title = if is_bought { &texts.title } else { &texts.unknown_title };
    let frame = Frame::new(billing, look, title, links::RETURN_PATH).with_claims(claims);
    let tries = asked.tries.unwrap_or(0);
    let by_itself = tries < TRIES_MAX;
    // Whoever asks by hand may wait once more.
    let own = billing.settings().own_paths();
    let again = again(own, asked.session_id.as_deref(), next, if by_itself { tries.saturating_add(1) } else { 0 });
    Confirming { frame, refresh_seconds: REFRESH_SECONDS, again, by_itself, is_bought }
}

/// The page's own address, with how often it was asked for.
fn again(own: &OwnPaths, session: Option<&str>, next: Option<&str>, tries: u32) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let session = session.map(|session| ("session_id", session));
    query.extend_pairs(session.into_iter().chain(next.map(|next| ("next", next))));
    query.append_pair("tries", &tries.to_string());
    format!("{}?{}", own.of(links::RETURN_PATH), query.finish())
}

/// Asks what was bought, then waits until the account has it, or for too long; of a session that is not known, until it
/// has more than everybody has. Holds no connection while it sleeps.
async fn purchase(billing: &Billing, account: &AccountId, session: Option<&str>) -> Purchase {
    let confirmed = async {
        // The page asks again each two seconds; its webhook may be faster than a further answer.
        if !billing.shared().asks.may_look(account) {
            return Ok(());
        }
        checkout::confirm(billing, account, crate::clock::now()).await
    };
    match tokio::time::timeout(Duration::from_secs(CONFIRM_SECONDS_MAX), confirmed).await {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => {
            static UNASKED: Sparing = Sparing::new();
            if let Some(untold) = UNASKED.tells(&problem.code()) {
                tracing::warn!(%account, code = problem.code(), untold, "the provider could not be asked what was bought: its webhook tells it");
            }
        }
        Err(_) => {
            static SLOW: Sparing = Sparing::new();
            if let Some(untold) = SLOW.tells(&"") {
                tracing::warn!(%account, untold, "the provider takes long to say what was bought: its webhook tells it");
            }
        }
    }
    let bought = checkout::bought(billing, account, session).await;
    // Beyond that many, the page that asks again does the waiting.
    let place = WAITING.try_acquire();
    let deadline = Instant::now() + patience(bought.is_some());
    loop {
        // A database that fails for a moment must not show an error to somebody who has just paid.
        let now = crate::clock::now();
        let has = |standing: Standing| match &bought {
            Some((provider, price)) => standing.has_bought(*provider, price, now),
            None => standing.has_more_than_everybody(),
        };
        if standing::of(billing, account, now).await.is_ok_and(has) {
            return Purchase::InEffect;
        }
        if place.is_err() || Instant::now() >= deadline {
            return match (&bought, session) {
                (Some(_), _) => Purchase::Awaited,
                (None, Some(_)) => Purchase::Claimed,
                (None, None) => Purchase::Unknown,
            };
        }
        tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
    }
}

/// Where no purchase is known there is nothing to wait for.
const fn patience(is_bought: bool) -> Duration {
    Duration::from_secs(if is_bought { WAIT_SECONDS_MAX } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::examples;

    #[test]
    fn without_a_purchase_the_page_comes_at_once() {
        assert_eq!(patience(false), Duration::ZERO);
        assert!(patience(true) > Duration::ZERO);
    }

    #[test]
    fn the_waiting_page_asks_again_by_itself_and_stays_where_it_is() {
        let look = examples::pages();
        let frame = Frame::of(&look, "/billing/pricing", &look.texts.back.title, links::RETURN_PATH);
        let again = again(&OwnPaths::default(), Some("cs_1\"><b>"), Some("/premium/a?b=c"), 3);
        assert_eq!(again, "/billing/return?session_id=cs_1%22%3E%3Cb%3E&next=%2Fpremium%2Fa%3Fb%3Dc&tries=3");
        let page = Confirming { frame: frame.clone(), refresh_seconds: 2, again, by_itself: true, is_bought: true };
        let html = page.render().expect("a page");
        let refresh =
            r#"<meta http-equiv="refresh" content="2; url=/billing/return?session_id=cs_1%22%3E%3Cb%3E&#38;next="#;
        assert!(html.contains(refresh), "{html}");
        assert!(html.contains("Your payment is being confirmed"));
        assert!(!html.contains("See the plans"), "nothing is bought twice: {html}");
        let again = "/billing/return?tries=0".to_owned();
        let page = Confirming { frame, refresh_seconds: 2, again, by_itself: false, is_bought: true };
        let html = page.render().expect("a page");
        assert!(!html.contains("refresh") && html.contains(r#"href="/billing/return?tries=0""#), "{html}");
    }

    #[test]
    fn b12_a_visitor_of_whom_no_purchase_is_known_is_not_told_of_a_payment() {
        let look = examples::pages();
        let frame = Frame::of(&look, "/billing/pricing", &look.texts.back.unknown_title, links::RETURN_PATH);
        for by_itself in [true, false] {
            let again = again(&OwnPaths::default(), None, None, 1);
            let page = Confirming { frame: frame.clone(), refresh_seconds: 2, again, by_itself, is_bought: false };
            let html = page.render().expect("a page");
            for words in ["No payment is known here yet", "If you have bought nothing", "See the plans", "Check again"]
            {
                assert!(html.contains(words), "{words}: {html}");
            }
            for words in ["is being confirmed", "Some ways to pay take longer"] {
                assert!(!html.contains(words), "{words}: {html}");
            }
            assert_eq!(html.contains("refresh"), by_itself, "{html}");
        }
    }
}
