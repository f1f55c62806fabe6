//! Selling while the database is behind what was told of it: an account may pay already for a subscription that the database has
//! lost, and that serves all the same.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::timeline::Status;
use http::StatusCode;

use crate::Billing;
use crate::chain;
use crate::problem::Problem;

/// That nothing is known to be paid for by the account which the database does not know. The providers are asked first: what they
/// tell stands in the database afterwards, and decides by itself.
///
/// # Errors
/// 503 as long as it serves and nobody knows how it is paid for, or 429 when the account asks too often; 503 when the database fails.
pub async fn refuse_unknown(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<(), Problem> {
    if !is_paid_for(billing, account, now).await? {
        return Ok(());
    }
    billing.shared().asks.act(account)?;
    if let Err(error) = billing.reconcile_account(account, now).await {
        tracing::warn!(%account, error = chain::told(&error), "the database went back, and no provider says what an account pays for");
    }
    if !is_paid_for(billing, account, now).await? {
        return Ok(());
    }
    tracing::warn!(%account, "nothing is sold to an account: it has access from before the database went back, and no provider knows of it. `tollgate database accept` ends that");
    let detail = "There is access already, and how it is paid for is being looked into. Nothing more can be bought until that is settled.";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "access_unsettled", detail).retry_after(3600))
}

/// Whether what serves for the account is a subscription that another database had told of, and this one knows nothing new of.
async fn is_paid_for(billing: &Billing, account: &AccountId, now: Timestamp) -> Result<bool, Problem> {
    let computed = billing.compute(account, now).await?;
    let held = billing.held_instead(&computed, now).await?;
    let status = held.map_or(Status::None, |held| held.entitlement.timeline.at(now).status);
    Ok(!matches!(status, Status::None | Status::Credit))
}
