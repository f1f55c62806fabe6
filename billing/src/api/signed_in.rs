//! Who asks: the assertion that the proxy puts on every signed-in request. Billing believes nothing else.

use axum::extract::FromRequestParts;
use entitlement::Timestamp;
use entitlement::assertion::Claims;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::Billing;
use crate::problem::Problem;
use crate::settings::Settings;

/// The header with the signed assertion.
pub const ASSERTION: &str = "x-entitlement-assertion";

/// A signed-in caller; anybody else gets a 401.
#[derive(Debug)]
pub struct SignedIn(pub Claims);

/// A caller who may be signed in; an assertion that does not verify gets a 401.
#[derive(Debug)]
pub struct Visitor(pub Option<Claims>);

impl FromRequestParts<Billing> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        let Visitor(claims) = Visitor::from_request_parts(parts, billing).await?;
        let problem = || Problem::new(StatusCode::UNAUTHORIZED, "sign_in", "Sign in first.");
        claims.map(SignedIn).ok_or_else(problem)
    }
}

impl FromRequestParts<Billing> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, billing: &Billing) -> Result<Self, Problem> {
        claims(&parts.headers, billing.settings(), crate::clock::now()).map(Self)
    }
}

/// The verified claims, or nothing when there is no assertion at all.
fn claims(headers: &HeaderMap, settings: &Settings, now: Timestamp) -> Result<Option<Claims>, Problem> {
    let mut assertions = headers.get_all(ASSERTION).iter();
    let Some(assertion) = assertions.next() else { return Ok(None) };
    let problem = || Problem::new(StatusCode::UNAUTHORIZED, "invalid_token", "The assertion does not verify.");
    if assertions.next().is_some() {
        return Err(problem());
    }
    let assertion = assertion.to_str().map_err(|_| problem())?;
    let verified = settings.assertion.verify(assertion, &settings.site_url, &settings.assertion_audience, now);
    verified.map(Some).map_err(|error| {
        // Only the proxy can send this header, so it and billing disagree about the key, the site or the time.
        tracing::warn!(reason = %error, "an assertion was refused");
        problem()
    })
}
