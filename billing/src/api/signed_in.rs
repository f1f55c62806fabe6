//! Who asks: the assertion that the proxy puts on every signed-in request. Billing believes nothing else.

use std::fmt::Display;

use axum::extract::FromRequestParts;
use cache::Sparing;
use entitlement::Timestamp;
use entitlement::assertion::Claims;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::Billing;
use crate::caller;
use crate::problem::Problem;
use crate::settings::Settings;

/// The header with the signed assertion.
pub const ASSERTION: &str = "x-entitlement-assertion";

/// A signed-in caller; anybody else gets a 401.
#[derive(Debug)]
pub struct SignedIn(pub Claims);

/// A signed-in caller who may buy, change and cancel for the account; other users of the account get a 403.
#[derive(Debug)]
pub struct Buyer(pub Claims);

/// A caller who may be signed in; an assertion that does not verify gets a 503.
#[derive(Debug)]
pub struct Visitor(pub Option<Claims>);

/// A caller who does not hold the operator's token: that one buys for nobody.
#[derive(Debug)]
pub struct NotOperator;

impl FromRequestParts<Billing> for NotOperator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.split_once(' ')).map(|(_, token)| token.trim());
        if token.is_some_and(|token| billing.providers().is_operator(token)) {
            let detail = "An operator's token cannot buy: sign in as the account that does.";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "operator_cannot_buy", detail));
        }
        Ok(Self)
    }
}

impl FromRequestParts<Billing> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let Visitor(claims) = Visitor::from_request_parts(parts, billing).await?;
        let problem = || Problem::new(StatusCode::UNAUTHORIZED, "sign_in", "Sign in first.");
        claims.map(SignedIn).ok_or_else(problem)
    }
}

impl FromRequestParts<Billing> for Buyer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let SignedIn(claims) = SignedIn::from_request_parts(parts, billing).await?;
        may_buy(&claims)?;
        Ok(Self(claims))
    }
}

impl FromRequestParts<Billing> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let claims = claims(&parts.headers, billing.settings(), crate::clock::now())?;
        claims.iter().for_each(|claims| caller::note(&claims.sub, claims.user()));
        Ok(Self(claims))
    }
}

/// Whether the user may buy, change and cancel for the account.
///
/// # Errors
/// 403 when only other users may.
pub fn may_buy(claims: &Claims) -> Result<(), Problem> {
    if claims.buyer {
        return Ok(());
    }
    let detail = "Only users who manage billing for this account may do this.";
    Err(Problem::new(StatusCode::FORBIDDEN, "not_a_buyer", detail))
}

/// The verified claims, or nothing when there is no assertion at all.
///
/// # Errors
/// 503 when there is one that does not verify, or more than one.
pub fn claims(headers: &HeaderMap, settings: &Settings, now: Timestamp) -> Result<Option<Claims>, Problem> {
    let mut assertions = headers.get_all(ASSERTION).iter();
    let Some(assertion) = assertions.next() else { return Ok(None) };
    let readable = assertion.to_str().ok().filter(|_| assertions.next().is_none());
    let assertion = readable.ok_or_else(|| unverified(&"it is no text, or one of several"))?;
    let verified = settings.assertion.verify(assertion, &settings.site_url, &settings.assertion_audience, now);
    verified.map(Some).map_err(|error| unverified(&error))
}

/// Only the proxy can send an assertion, so it and billing disagree about the key, the site or the time: no user is at fault, and to sign
/// in again would not help.
fn unverified(reason: &dyn Display) -> Problem {
    static REFUSED: Sparing = Sparing::new();
    let reference = format!("{:08x}", rand::random::<u32>());
    if let Some(untold) = REFUSED.tells(&reason) {
        tracing::warn!(%reason, reference, untold, "an assertion was refused: TOLLGATE_ASSERTION_KEY, site.url and the clock of the proxy have to be those of billing");
    } else {
        tracing::info!(%reason, reference, "an assertion was refused");
    }
    let detail = "The session could not be checked here, which is no fault of the user's. Try again shortly.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "invalid_assertion", detail).reference(reference)
}
