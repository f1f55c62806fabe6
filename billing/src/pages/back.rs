//! Back from paying: the buyer may be faster than the webhook, and must not be turned away for it.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use entitlement::account::AccountId;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::html;
use crate::Billing;
use crate::api::{Visitor, standing};
use crate::checkout::links;
use crate::problem::Problem;

/// How long the answer is held back, waiting for the purchase to take effect. Proxies wait longer than this.
const WAIT_SECONDS_MAX: u64 = 10;

/// How often it is looked whether the purchase has taken effect.
const LOOK_EVERY_MS: u64 = 100;

/// How many buyers are waited for at once, so that they cannot take the database from everybody else.
static WAITING: Semaphore = Semaphore::const_new(64);

/// After how long the page that waits asks again.
const REFRESH_SECONDS: u32 = 2;

/// What the page is told in its address. The session's id stands there too, for whoever has to help: what the account
/// has decides, not what the address says.
#[derive(Debug, Deserialize)]
pub struct Asked {
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "confirming.html")]
struct Confirming {
    refresh_seconds: u32,
}

/// `GET /billing/return`
pub async fn get(
    State(billing): State<Billing>,
    Visitor(claims): Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let next = asked.next.as_deref().and_then(links::own_path);
    let Some(claims) = claims else {
        let back = links::with_next(links::RETURN_PATH, next.as_deref());
        return Ok(html::see_other(&links::with_next(&billing.settings().login_url, Some(&back))));
    };
    if !has_taken_effect(&billing, &claims.sub).await {
        tracing::warn!(account = %claims.sub, "a purchase has not taken effect yet");
        return Ok(html::page(&Confirming { refresh_seconds: REFRESH_SECONDS }));
    }
    // The next page is asked for at once, so the cache must know by then. Where it cannot be told, the proxy asks
    // billing before it denies.
    billing.publish_at_once([claims.sub.clone()], crate::clock::now()).await;
    Ok(html::see_other(next.as_deref().unwrap_or("/billing?upgraded=1")))
}

/// Waits until the account has more than everybody has, or for too long. Holds no connection while it sleeps.
async fn has_taken_effect(billing: &Billing, account: &AccountId) -> bool {
    let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    // Beyond that many, the page that asks again does the waiting.
    let place = WAITING.try_acquire();
    loop {
        // A database that fails for a moment must not show an error to somebody who has just paid.
        let standing = standing::of(billing, account, crate::clock::now()).await;
        if standing.is_ok_and(|standing| standing.has_more_than_everybody()) {
            return true;
        }
        if place.is_err() || Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waiting_page_asks_again_by_itself() {
        let page = Confirming { refresh_seconds: 2 }.render().expect("a page");
        assert!(page.contains(r#"<meta http-equiv="refresh" content="2">"#), "{page}");
        assert!(page.contains("Your payment is being confirmed"));
    }
}
