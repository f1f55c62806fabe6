//! Writing down who brought an account: by a call of the application, or when billing first sees a browser that was
//! invited.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use cache::Sparing;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use http::{StatusCode, header};

use super::cookie;
use crate::Billing;
use crate::api::claims;
use crate::clock;
use crate::problem::Problem;
use crate::store::{StoreError, referrals};

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The account was brought by the owner of the code.
    New,
    /// It was already, by the same.
    Same,
    /// Nobody has this code, or no longer.
    UnknownCode,
    /// One's own code, or that of somebody whom one has brought oneself.
    OwnCode,
    /// Somebody else has brought it.
    BySomebodyElse,
    /// It has bought something before: nobody brings it any more.
    NotNew,
}

impl From<Bound> for Result<(), Problem> {
    fn from(bound: Bound) -> Self {
        let problem = |status, code, detail: &str| Err(Problem::new(status, code, detail));
        match bound {
            Bound::New | Bound::Same => Ok(()),
            Bound::UnknownCode => problem(StatusCode::NOT_FOUND, "unknown_code", "Nobody invites with this code."),
            Bound::OwnCode => problem(StatusCode::BAD_REQUEST, "self_referral", "Nobody can invite themselves."),
            Bound::BySomebodyElse => {
                problem(StatusCode::CONFLICT, "already_referred", "Somebody else has invited this account.")
            }
            Bound::NotNew => problem(StatusCode::CONFLICT, "not_new", "This account has bought something already."),
        }
    }
}

/// Writes down that an account was brought by the owner of a code, if it can have been.
///
/// # Errors
/// When the database fails.
pub async fn bind(billing: &Billing, account: &AccountId, code: &str, now: Timestamp) -> Result<Bound, StoreError> {
    let mut conn = billing.pool().acquire().await?;
    let Some(referrer) = referrals::owner(&mut conn, code).await? else { return Ok(Bound::UnknownCode) };
    if referrer == *account {
        return Ok(Bound::OwnCode);
    }
    if let Some(known) = referrals::referrer_of(&mut conn, account).await? {
        return Ok(if known == referrer { Bound::Same } else { Bound::BySomebodyElse });
    }
    if referrals::referrer_of(&mut conn, &referrer).await?.as_ref() == Some(account) {
        return Ok(Bound::OwnCode);
    }
    if referrals::has_bought(&mut conn, account).await? {
        return Ok(Bound::NotNew);
    }
    if referrals::bind(&mut conn, account, &referrer, now).await? {
        tracing::info!(%account, %referrer, "an account was invited");
        return Ok(Bound::New);
    }
    // Two at once: the first has it.
    let first = referrals::referrer_of(&mut conn, account).await?;
    Ok(if first == Some(referrer) { Bound::Same } else { Bound::BySomebodyElse })
}

/// Binds a signed-in browser that remembers an invitation, whatever it asks for, and lets it forget. What cannot be bound
/// now is forgotten too; a database that fails is tried again by the next request.
pub async fn at_first_sight(State(billing): State<Billing>, request: Request, next: Next) -> Response {
    let now = clock::now();
    let Some(code) = cookie::code(request.headers(), billing.settings(), now) else { return next.run(request).await };
    let Ok(Some(claims)) = claims(request.headers(), billing.settings(), now) else { return next.run(request).await };
    let is_settled = match bind(&billing, &claims.sub, &code, now).await {
        Ok(_) => true,
        Err(error) => {
            static UNBOUND: Sparing = Sparing::new();
            if let Some(untold) = UNBOUND.tells(&error) {
                tracing::warn!(
                    error = crate::chain::told(&error),
                    untold,
                    "an invitation could not be written down yet: the next request of its browser tries it again"
                );
            }
            false
        }
    };
    let mut answer = next.run(request).await;
    if is_settled
        && !cookie::INVITED.is_set_by(answer.headers())
        && let Some(forgotten) = cookie::INVITED.forgotten(billing.settings())
    {
        answer.headers_mut().append(header::SET_COOKIE, forgotten);
    }
    answer
}
