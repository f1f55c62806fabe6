//! Subscriptions that stand in the way of a purchase: they are paid for already, or may be.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Sold;
use entitlement::subscription::{WayBack, Withheld};
use http::StatusCode;

use super::choose::Choice;
use crate::Billing;
use crate::api::standing::Standing;
use crate::problem::Problem;
use crate::store::{StoreError, gone};

/// A tier that is paid for, or the same add-on, is changed in the portal.
///
/// # Errors
/// 409, with the way to go instead.
pub fn refuse_second(standing: &Standing, choice: &Choice<'_>, now: Timestamp) -> Result<(), Problem> {
    let held = standing.held(now);
    let withheld = held.first().and_then(|live| standing.withheld(&live.subscription.id)).map(Withheld::way_back);
    let (is_held, code, detail) = match choice.item {
        Sold::Tier(_) if withheld == Some(WayBack::Resume) => {
            let detail =
                "There is a subscription already, which is paused: let it go on instead of buying another one.";
            let problem = Problem::new(StatusCode::CONFLICT, "subscription_paused", detail);
            return Err(problem.instead("/api/billing/reactivate"));
        }
        Sold::Tier(_) if withheld == Some(WayBack::UpdateCard) => {
            return Err(payment_missing());
        }
        Sold::Tier(_) => (
            !held.is_empty() || standing.may_hold_unnamed(now),
            "already_subscribed",
            "There is a subscription already: change it in the customer portal instead of buying another one.",
        ),
        Sold::Addon(addon) => (
            standing.has_addon(&addon.code, now),
            "already_held",
            "The account has this add-on already: it is changed and ended in the customer portal.",
        ),
    };
    if is_held {
        return Err(Problem::new(StatusCode::CONFLICT, code, detail).instead("/api/billing/portal"));
    }
    Ok(())
}

/// Nothing is sold beside a subscription whose first payment is still open: both could be paid.
///
/// # Errors
/// 409 when there is one.
pub fn refuse_beside_unpaid(standing: &Standing) -> Result<(), Problem> {
    let is_open = standing.unsettled().is_some_and(|(_, withheld)| withheld == Withheld::Incomplete);
    if is_open { Err(payment_missing()) } else { Ok(()) }
}

/// Nothing is sold to an account that goes by another id: its payments would be for that one.
///
/// # Errors
/// 409 when it was moved; 503 when the database fails.
pub async fn refuse_moved(billing: &Billing, account: &AccountId) -> Result<(), Problem> {
    let mut conn = billing.pool().acquire().await.map_err(StoreError::from)?;
    if gone::moved_to(&mut conn, account).await?.is_none() {
        return Ok(());
    }
    let detail = "This account goes by another id now: sign in again.";
    Err(Problem::new(StatusCode::CONFLICT, "account_moved", detail))
}

fn payment_missing() -> Problem {
    let detail = "There is a subscription already, of which a payment is missing: update how it is paid instead of buying another one.";
    Problem::new(StatusCode::CONFLICT, "payment_missing", detail).instead("/api/billing/portal")
}

/// That a payment is on its way.
#[must_use]
pub fn payment_pending() -> Problem {
    let detail =
        "A payment for this account is still being processed. Nothing more can be bought until it has come or failed.";
    Problem::new(StatusCode::CONFLICT, "payment_pending", detail)
}

#[cfg(test)]
mod tests {
    use entitlement::subscription::State;

    use super::*;
    use crate::api::standing::examples::{on, standing, subscription};

    #[test]
    fn nothing_is_sold_beside_a_first_payment_that_is_open() {
        for (state, expected) in [(State::Incomplete, Some("payment_missing")), (State::Ended { at: on(3, 2) }, None)] {
            let standing = standing(vec![subscription("price_monthly", state)], on(3, 10));
            let refused = refuse_beside_unpaid(&standing).err();
            assert_eq!(refused.map(|problem| problem.code()), expected, "{state:?}");
        }
    }
}
