//! Taking turns: the checkout of one account is worked on by one request at a time, in whichever process.
//!
//! Within a process they queue; between processes a lease in the database decides, since a lock of a row would hold a
//! connection while the provider is asked. A process that dies leaves the lease to expire.

use std::time::Duration;

use chrono::TimeDelta;
use entitlement::Timestamp;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use http::StatusCode;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::Billing;
use crate::clock;
use crate::problem::Problem;
use crate::store::accounts;
use crate::store::checkouts::{self, Lease};

/// How long a request waits for its turn.
const WAIT: Duration = Duration::from_secs(15);

/// How often it is looked whether another process is done.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Longer than all the calls of one turn may take, at ten seconds each.
const LEASE_SECONDS: i64 = 75;

/// A turn, to be ended by [`Turn::end`].
pub struct Turn<'a> {
    pub lease: Lease,
    billing: &'a Billing,
    account: &'a AccountId,
    _place: MutexGuard<'a, ()>,
}

/// The end of an account of which nothing is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// It gets a row.
    Made,
    Left,
}

/// The holder of a lease.
enum Lent {
    Here(Lease),
    Elsewhere,
    /// Nothing is known of the account.
    ToNobody,
}

impl<'a> Turn<'a> {
    /// Waits for the turn.
    ///
    /// # Errors
    /// 503 when others take too long, or the database fails.
    pub async fn take(billing: &'a Billing, account: &'a AccountId) -> Result<Self, Problem> {
        // An account without a row gets one.
        let turn = Self::take_if(billing, account, Unknown::Made).await?;
        turn.ok_or_else(Problem::interrupted)
    }

    /// As [`Turn::take`]; none where nothing is known of the account by then, such as when it was erased meanwhile.
    ///
    /// # Errors
    /// As there.
    pub async fn take_of_known(billing: &'a Billing, account: &'a AccountId) -> Result<Option<Self>, Problem> {
        Self::take_if(billing, account, Unknown::Left).await
    }

    async fn take_if(billing: &'a Billing, account: &'a AccountId, unknown: Unknown) -> Result<Option<Self>, Problem> {
        let deadline = Instant::now() + WAIT;
        // Shared by chance with few other accounts; which provider it is does not matter.
        let place = billing.shared().selling.lock(Provider::Stripe, account.as_str());
        let place = tokio::time::timeout_at(deadline, place).await.map_err(|_| busy(None))?;
        loop {
            match Self::lease(billing, account, unknown).await? {
                Lent::Here(lease) => return Ok(Some(Self { lease, billing, account, _place: place })),
                Lent::Elsewhere => {}
                Lent::ToNobody => return Ok(None),
            }
            if Instant::now() >= deadline {
                return Err(busy(Self::leased_until(billing, account).await?));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn lease(billing: &Billing, account: &AccountId, unknown: Unknown) -> Result<Lent, Problem> {
        let now = clock::now();
        let mut tx = billing.pool().begin().await.map_err(crate::StoreError::from)?;
        if unknown == Unknown::Left {
            accounts::hold(&mut tx, &[account]).await?;
            if !accounts::is_known(&mut tx, account).await? {
                return Ok(Lent::ToNobody);
            }
        }
        let lease = checkouts::take(&mut tx, account, now + TimeDelta::seconds(LEASE_SECONDS), now).await?;
        tx.commit().await.map_err(crate::StoreError::from)?;
        Ok(lease.map_or(Lent::Elsewhere, Lent::Here))
    }

    /// When the turn of another one ends at the latest. It is not taken from it before: it may be a purchase that goes on in another
    /// process.
    async fn leased_until(billing: &Billing, account: &AccountId) -> Result<Option<Timestamp>, Problem> {
        let mut conn = billing.pool().acquire().await.map_err(crate::StoreError::from)?;
        Ok(checkouts::leased_until(&mut conn, account).await?)
    }

    /// Lets the next one go on. When that fails, the lease expires.
    pub async fn end(self) {
        let released = async {
            let mut conn = self.billing.pool().acquire().await?;
            checkouts::release(&mut conn, self.account, &self.lease, clock::now()).await
        };
        let released: Result<(), crate::StoreError> = released.await;
        if let Err(error) = released {
            tracing::warn!(account = %self.account, error = crate::chain::told(&error), "a checkout stays locked until its lease ends: meanwhile its account is answered that another one is being opened");
        }
    }
}

/// That another one has the turn, and until when at the latest.
fn busy(until: Option<Timestamp>) -> Problem {
    let refused = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "checkout_busy", detail);
    let work = "Another checkout of this account is being opened, or a command that ends its subscriptions is at work or was killed";
    let Some(until) = until else { return refused(format!("{work}. Try again shortly.")) };
    let seconds = u64::try_from((until - clock::now()).num_seconds()).unwrap_or(0);
    let until = clock::written(until);
    refused(format!("{work}. The account is free again at {until} at the latest.")).retry_after(seconds + 1)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn a_refusal_says_until_when_the_turn_is_taken() {
        let until = clock::now() + TimeDelta::seconds(LEASE_SECONDS);
        let problem = busy(Some(until));
        assert!(problem.detail().contains(&clock::written(until)), "{}", problem.detail());
        let answer = problem.into_response();
        let seconds: i64 = answer.headers()[RETRY_AFTER].to_str().expect("text").parse().expect("seconds");
        assert!((1..=LEASE_SECONDS + 1).contains(&seconds), "{seconds}");
        // Its time is over, and another request was faster.
        let over = busy(Some(until - TimeDelta::days(1))).into_response();
        assert_eq!(over.headers()[RETRY_AFTER], "1");
    }
}
