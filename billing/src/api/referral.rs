//! Inviting others: one's code, the link that captures it, and who invited oneself.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::request::Body;
use super::signed_in::SignedIn;
use crate::Billing;
use crate::checkout::links;
use crate::clock;
use crate::problem::Problem;
use crate::referral::{self, Standing, cookie};
use crate::store::{StoreError, referrals};

/// Longest code that is looked up, in bytes.
const CODE_BYTES_MAX: usize = 32;

/// `GET /api/billing/referral`
pub async fn show(State(billing): State<Billing>, SignedIn(claims): SignedIn) -> Result<Json<Standing>, Problem> {
    Ok(Json(referral::standing(&billing, &claims.sub, clock::now()).await?))
}

/// By whom an account says that it was invited.
#[derive(Debug, Deserialize)]
pub struct Invited {
    /// Without one, what the browser remembers.
    code: Option<String>,
}

/// That it is written down.
#[derive(Debug, Serialize)]
pub struct Written {
    status: &'static str,
}

/// `POST /api/billing/referral`: called by the application when the account has signed up.
pub async fn bind(
    State(billing): State<Billing>,
    SignedIn(claims): SignedIn,
    headers: HeaderMap,
    Body(Invited { code }): Body<Invited>,
) -> Result<Json<Written>, Problem> {
    let now = clock::now();
    let code = code.or_else(|| cookie::code(&headers, billing.settings(), now));
    let none = || Problem::new(StatusCode::BAD_REQUEST, "no_code", "Say by which `code` the account was invited.");
    let code = code.filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX).ok_or_else(none)?;
    Result::from(referral::bind(&billing, &claims.sub, &code.to_ascii_lowercase(), now).await?)?;
    Ok(Json(Written { status: "bound" }))
}

/// `GET /billing/r/{code}`: remembers who invited, and leads on. A code that nobody has is not remembered.
pub async fn capture(State(billing): State<Billing>, Path(code): Path<String>) -> Result<Response, Problem> {
    let settings = billing.settings();
    let code = code.to_ascii_lowercase();
    let landing = links::on_site(&settings.site_url, &settings.referral.landing_url);
    let landing = HeaderValue::try_from(landing).map_err(|_| Problem::interrupted())?;
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, landing)]).into_response();
    if code.len() <= CODE_BYTES_MAX
        && is_known(&billing, &code).await?
        && let Some(cookie) = cookie::remembering(&code, settings, clock::now())
    {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

async fn is_known(billing: &Billing, code: &str) -> Result<bool, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    Ok(referrals::owner(&mut conn, code).await?.is_some())
}
