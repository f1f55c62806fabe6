//! Subscriptions that stand in the way of a purchase: they are paid for already, or may be.

use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::subscription::Subscription;
use http::StatusCode;

use super::choose::Choice;
use crate::Billing;
use crate::api::standing::{Obstacle, Standing};
use crate::problem::Problem;
use crate::store::{StoreError, gone};

/// Where a subscription is changed, and how it is paid.
const PORTAL: &str = "/api/billing/portal";

/// Sells nothing to an account that is blocked: it would pay for what it cannot use.
///
/// # Errors
/// 403 when it is.
pub fn refuse_blocked(standing: &Standing) -> Result<(), Problem> {
    if standing.segment.plan.is_blocked() { Err(blocked()) } else { Ok(()) }
}

/// A tier that is paid for, or the same add-on, is changed in the portal.
///
/// # Errors
/// 409, with the way to go instead.
pub fn refuse_second(standing: &Standing, choice: &Choice<'_>, now: Timestamp) -> Result<(), Problem> {
    let Some(obstacle) = standing.obstacle(choice.item, now) else { return Ok(()) };
    Err(match (obstacle, choice.named()) {
        (Obstacle::Blocked, _) => blocked(),
        (Obstacle::Paused, _) => {
            let detail =
                "There is a subscription already, which is paused: let it go on instead of buying another one.";
            Problem::new(StatusCode::CONFLICT, "subscription_paused", detail).instead("/api/billing/reactivate")
        }
        (Obstacle::PaymentMissing(own), _) => payment_missing(standing, own),
        (Obstacle::Held(own), ("addon", _)) => {
            let detail = "The account has this add-on already: it is changed and ended in the customer portal.";
            in_portal(standing, own, ("already_held", detail))
        }
        (Obstacle::Held(own), _) => {
            let detail =
                "There is a subscription already: change it in the customer portal instead of buying another one.";
            in_portal(standing, own, ("already_subscribed", detail))
        }
    })
}

/// Nothing is sold beside a subscription whose first payment is still open: both could be paid.
///
/// # Errors
/// 409 when there is one.
pub fn refuse_beside_unpaid(standing: &Standing) -> Result<(), Problem> {
    standing.unpaid().map_or(Ok(()), |own| Err(payment_missing(standing, own)))
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

fn blocked() -> Problem {
    let detail =
        "This account is blocked: nothing is sold to it. What it has can be ended, and paid for in the portal.";
    Problem::new(StatusCode::FORBIDDEN, "account_blocked", detail)
}

fn payment_missing(standing: &Standing, own: &Subscription) -> Problem {
    let detail =
        "There is a subscription already, of which a payment is missing: pay that instead of buying another one.";
    in_portal(standing, Some(own), ("payment_missing", detail))
}

/// A refusal that is settled in the portal; where that is another account's, no way leads there.
fn in_portal(standing: &Standing, own: Option<&Subscription>, (code, detail): (&'static str, &str)) -> Problem {
    let is_elsewhere = own.is_some_and(|own| standing.is_elsewhere(&own.id));
    if is_elsewhere || !standing.has_portal {
        let detail = "There is a subscription already, and another account pays for it: that account can change it. It can be ended here.";
        return Problem::new(StatusCode::CONFLICT, code, detail);
    }
    Problem::new(StatusCode::CONFLICT, code, detail).instead(PORTAL)
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
    fn no_way_leads_to_the_portal_of_another_account() {
        let own = subscription("price_monthly", State::Incomplete);
        let mut standing = standing(vec![own.clone()], on(3, 10));
        let instead = |standing: &Standing| {
            let problem = refuse_beside_unpaid(standing).expect_err("refused");
            problem.told_instead().map(str::to_owned)
        };
        assert_eq!(instead(&standing).as_deref(), Some(PORTAL));
        standing.elsewhere.insert(own.id);
        assert_eq!(instead(&standing), None);
    }

    #[test]
    fn nothing_is_sold_beside_a_first_payment_that_is_open() {
        for (state, expected) in [(State::Incomplete, Some("payment_missing")), (State::Ended { at: on(3, 2) }, None)] {
            let standing = standing(vec![subscription("price_monthly", state)], on(3, 10));
            let refused = refuse_beside_unpaid(&standing).err();
            assert_eq!(refused.map(|problem| problem.code()), expected, "{state:?}");
        }
    }
}
