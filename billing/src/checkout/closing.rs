//! The last checkout of an account that goes: it is closed, so that nothing is paid there later.

use chrono::TimeDelta;
use entitlement::account::AccountId;

use super::check_configured;
use super::confirm::confirm;
use super::turn::Turn;
use crate::Billing;
use crate::clock;
use crate::problem::Problem;
use crate::provider::client::CheckoutState;
use crate::provider::{can_ask, sell};

/// How long a checkout can be paid after its provider has said that it is open.
const OPEN_AT_MOST: TimeDelta = TimeDelta::days(1);

/// How the last checkout of an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// Nothing can be paid there; what was paid is learnt of.
    Over,
    /// It can still be paid: its provider has no way to close it, or there is no key.
    Open,
    /// It is paid, and the money is not there yet.
    Pending,
}

/// Closes the checkout that was opened last for an account.
///
/// # Errors
/// 502 when the provider does not answer, 503 when its key is not used or the database fails.
pub(crate) async fn close_last(billing: &Billing, account: &AccountId, turn: &Turn<'_>) -> Result<Last, Problem> {
    let Some(session) = &turn.lease.session else { return Ok(Last::Over) };
    let (provider, id) = (session.provider, &session.id);
    if !can_ask(&billing.providers(), provider) {
        let is_over = clock::now() - session.seen_at > OPEN_AT_MOST;
        return Ok(if is_over { Last::Over } else { Last::Open });
    }
    check_configured(billing, provider).await?;
    let providers = billing.providers();
    let state = match sell::checkout_state(&providers, provider, id).await? {
        CheckoutState::Open => sell::close_checkout(&providers, provider, id).await?,
        state => state,
    };
    match state {
        CheckoutState::Over => Ok(Last::Over),
        CheckoutState::Open => Ok(Last::Open),
        CheckoutState::Processing => Ok(Last::Pending),
        CheckoutState::Complete => {
            confirm(billing, account, clock::now()).await?;
            Ok(Last::Over)
        }
    }
}
