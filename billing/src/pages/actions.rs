//! What the forms do: buy, manage, end, take the end back. No script is needed for any of it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use entitlement::assertion::Claims;
use http::header::SET_COOKIE;
use serde::Deserialize;
use url::Url;

use super::form::OwnForm;
use super::frame::Frame;
use super::look::{Pages, Spoken};
use super::{account, html, pricing};
use crate::Billing;
use crate::api::{Buyer, OwnOrigin, Visitor, may_buy, subscription};
use crate::checkout::{self, Order, links, onward};
use crate::problem::Problem;
use crate::provider::client::ProviderError;

/// A form whose button says it all.
#[derive(Debug, Deserialize)]
pub struct Pressed {}

/// The form that ends a subscription: the one that its button names.
#[derive(Debug, Deserialize)]
pub struct Cancellation {
    /// None in a form that names none, which ends all of them.
    subscription: Option<String>,
}

/// The way on to the provider.
#[derive(Template)]
#[template(path = "going.html")]
struct Going<'a> {
    frame: Frame<'a>,
    url: &'a str,
}

/// `POST /billing/checkout`
pub async fn checkout(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    OwnForm(order): OwnForm<Order>,
) -> Result<Response, Problem> {
    let next = order.next.as_deref().and_then(|next| links::own_path(billing.settings().own_paths(), next));
    let Some(claims) = claims else {
        return Ok(signing_in(&billing, &links::with_next(links::PRICING_PATH, next.as_deref())));
    };
    let opened = match may_buy(&claims) {
        Ok(()) => checkout::open(&billing, &claims.sub, &order, crate::clock::now()).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(opened) => {
            let mut answer = going((&billing, &look), &opened.url)?;
            let cookie = onward::remembering(&opened.id, next.as_deref(), billing.settings());
            answer.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
            Ok(answer)
        }
        Err(problem) => {
            let asked = pricing::Asked { next, cadence: order.cadence, is_invited: false };
            pricing::show((&billing, &look), Some(&claims), asked, Some(&problem)).await
        }
    }
}

/// `POST /billing/portal`
pub async fn portal(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    _: OwnForm<Pressed>,
) -> Result<Response, Problem> {
    let Some(claims) = claims else { return Ok(signing_in(&billing, links::ACCOUNT_PATH)) };
    let opened = match may_buy(&claims) {
        Ok(()) => checkout::open_portal(&billing, &claims.sub, crate::clock::now()).await,
        Err(problem) => Err(problem),
    };
    match opened {
        Ok(url) => going((&billing, &look), &url),
        Err(problem) => account::show((&billing, &look), &claims, account::Asked::default(), Some(&problem)).await,
    }
}

/// `POST /billing/cancel`
pub async fn cancel(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    OwnForm(asked): OwnForm<Cancellation>,
) -> Result<Response, Problem> {
    let Some(claims) = claims else { return Ok(signing_in(&billing, links::ACCOUNT_PATH)) };
    let done = match may_buy(&claims) {
        Ok(()) => subscription::end(&billing, &claims.sub, asked.subscription.as_deref()).await.map(drop),
        Err(problem) => Err(problem),
    };
    then((&billing, &look), &claims, done, "/billing?done=ending").await
}

/// `POST /billing/reactivate`
pub async fn reactivate(
    State(billing): State<Billing>,
    Spoken(look): Spoken,
    Visitor(claims): Visitor,
    _: OwnForm<Pressed>,
) -> Result<Response, Problem> {
    let Some(claims) = claims else { return Ok(signing_in(&billing, links::ACCOUNT_PATH)) };
    let done = match may_buy(&claims) {
        Ok(()) => subscription::reactivate(State(billing.clone()), Buyer(claims.clone()), OwnOrigin).await.map(drop),
        Err(problem) => Err(problem),
    };
    then((&billing, &look), &claims, done, "/billing?done=kept").await
}

/// `GET` of where a form was sent: somebody has loaded the answer again, so the page is shown afresh.
pub async fn to_pricing(State(billing): State<Billing>) -> Response {
    html::see_other(&billing.settings().own_paths().of(links::PRICING_PATH))
}

/// As [`to_pricing`], for the forms of one's own plan.
pub async fn to_account(State(billing): State<Billing>) -> Response {
    html::see_other(&billing.settings().own_paths().of(links::ACCOUNT_PATH))
}

async fn then(
    (billing, look): (&Billing, &Pages),
    claims: &Claims,
    done: Result<(), Problem>,
    page: &str,
) -> Result<Response, Problem> {
    match done {
        Ok(()) => Ok(html::see_other(&billing.settings().own_paths().of(page))),
        Err(problem) => account::show((billing, look), claims, account::Asked::default(), Some(&problem)).await,
    }
}

/// To the sign-in page, and then to a page of ours: what was sent is not kept.
fn signing_in(billing: &Billing, page: &str) -> Response {
    let settings = billing.settings();
    html::see_other(&links::signing_in(&settings.login, &settings.own_paths().of(page)))
}

/// A page that leads on to the provider by itself.
fn going((billing, look): (&Billing, &Pages), url: &str) -> Result<Response, Problem> {
    if !is_safe(url) {
        return Err(ProviderError::Unusable("it leads to a URL that no browser should be sent to".into()).into());
    }
    let frame = Frame::new(billing, look, &look.texts.back.going, "");
    Ok(html::page(&Going { frame, url }))
}

/// `https`, or `http` on this machine, as the simulated provider has it.
pub fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_nothing_but_pages() {
        for (url, safe) in [
            ("https://checkout.stripe.com/c/pay/cs_test_1#fid", true),
            ("http://127.0.0.1:4000/checkout/cs_1", true),
            ("http://checkout.stripe.com/c", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("//evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_safe(url), safe, "{url}");
        }
    }
}
