//! How often a provider is asked because of one account: whoever clicks, loads or loops, the provider's limits are everybody's.
//!
//! An answer serves for some seconds, and one question at a time is asked about an account; what changes something has a budget, that of
//! each process its own.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use cache::Sparing;
use entitlement::account::AccountId;
use entitlement::catalog::Provider;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::apply::Asking;
use crate::problem::Problem;

/// How long an answer serves.
pub const SERVES: Duration = Duration::from_secs(10);

/// Accounts that are remembered; beyond, those whose time is over are forgotten, then all.
const ACCOUNTS_MAX: usize = 10_000;

/// Looks at what is open, whose last answer could serve instead: at once, and then one each pause.
const LOOKS: Rate = Rate { at_once: 4, pause: Duration::from_secs(5) };

/// Everything else: at once, and then one each pause.
const ACTS: Rate = Rate { at_once: 20, pause: Duration::from_secs(3) };

/// So many at once, and then one each pause.
#[derive(Clone, Copy, Debug)]
struct Rate {
    at_once: u32,
    pause: Duration,
}

/// What each account has left of a rate (the generic cell rate algorithm).
#[derive(Debug)]
struct Budget {
    rate: Rate,
    /// When an account that asks no more has all of it again.
    full_at: Mutex<HashMap<AccountId, Instant>>,
}

impl Budget {
    fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Takes one; when there is none left, says after how long there is.
    fn take(&self, account: &AccountId, now: Instant) -> Result<(), Duration> {
        let mut full_at = self.full_at.lock();
        let known = full_at.get(account).copied().unwrap_or(now).max(now);
        let next = known + self.rate.pause;
        let wait = (next - now).saturating_sub(self.rate.pause * self.rate.at_once);
        if !wait.is_zero() {
            return Err(wait);
        }
        make_room(&mut full_at, account, |full_at| *full_at > now);
        full_at.insert(account.clone(), next);
        Ok(())
    }
}

/// Answers that serve for a while, of one kind.
#[derive(Debug)]
pub struct Kept<T> {
    answers: Mutex<HashMap<AccountId, (Instant, T)>>,
    asking: Asking,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { answers: Mutex::default(), asking: Asking::default() }
    }
}

impl<T: Clone> Kept<T> {
    /// The answer that serves, or that of a new question; who asks meanwhile waits for it. What failed is not kept.
    pub async fn or_ask<E>(&self, account: &AccountId, ask: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        // Shared by chance with few other accounts; which provider it is does not matter.
        let _turn = self.asking.lock(Provider::Stripe, account.as_str()).await;
        if let Some(answer) = self.serving(account, Instant::now()) {
            return Ok(answer);
        }
        let answer = ask.await?;
        self.keep(account, answer.clone(), Instant::now());
        Ok(answer)
    }

    fn serving(&self, account: &AccountId, now: Instant) -> Option<T> {
        let answers = self.answers.lock();
        let (since, answer) = answers.get(account)?;
        (now < *since + SERVES).then(|| answer.clone())
    }

    fn keep(&self, account: &AccountId, answer: T, now: Instant) {
        let mut answers = self.answers.lock();
        make_room(&mut answers, account, |(since, _)| now < *since + SERVES);
        answers.insert(account.clone(), (now, answer));
    }

    /// Forgets the answer: something of the account has changed.
    pub fn forget(&self, account: &AccountId) {
        self.answers.lock().remove(account);
    }
}

/// Makes room for an account that is not known: what is not wanted goes, and when that is not enough, everything.
fn make_room<T>(known: &mut HashMap<AccountId, T>, account: &AccountId, is_wanted: impl Fn(&T) -> bool) {
    if known.len() < ACCOUNTS_MAX || known.contains_key(account) {
        return;
    }
    known.retain(|_, value| is_wanted(value));
    if known.len() >= ACCOUNTS_MAX {
        known.clear();
    }
}

/// The budgets of all accounts.
#[derive(Debug)]
pub struct Asks {
    looks: Budget,
    acts: Budget,
}

impl Default for Asks {
    fn default() -> Self {
        Self { looks: Budget::new(LOOKS), acts: Budget::new(ACTS) }
    }
}

impl Asks {
    /// Whether it may be looked once more at what an earlier answer tells of as well.
    pub fn may_look(&self, account: &AccountId) -> bool {
        self.looks.take(account, Instant::now()).is_ok()
    }

    /// That the account may cause a further question.
    ///
    /// # Errors
    /// 429, with the time to wait.
    pub fn act(&self, account: &AccountId) -> Result<(), Problem> {
        self.acts.take(account, Instant::now()).map_err(|wait| {
            static OFTEN: Sparing = Sparing::new();
            if let Some(untold) = OFTEN.tells(&"") {
                tracing::warn!(%account, untold, "an account asks too often for what its payment provider has to be asked: it is answered 429 for a while");
            }
            let detail = "This was asked for too often. Try again in a few seconds.";
            let seconds = wait.as_secs().saturating_add(1);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retry_after(seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn account(id: &str) -> AccountId {
        AccountId::parse(id).expect("an id")
    }

    #[test]
    fn a_budget_is_of_one_account_and_comes_back() {
        let budget = Budget::new(LOOKS);
        let start = Instant::now();
        let (one, other) = (account("one"), account("other"));
        for _ in 0..LOOKS.at_once {
            assert_eq!(budget.take(&one, start), Ok(()));
        }
        assert_eq!(budget.take(&one, start), Err(LOOKS.pause));
        assert_eq!(budget.take(&other, start), Ok(()), "another one has its own");
        assert_eq!(budget.take(&one, start + LOOKS.pause / 2), Err(LOOKS.pause / 2));
        assert_eq!(budget.take(&one, start + LOOKS.pause), Ok(()));
        assert!(budget.take(&one, start + LOOKS.pause).is_err(), "one each pause");
        let rested = start + LOOKS.pause * 100;
        let taken = (0..99).filter(|_| budget.take(&one, rested).is_ok()).count();
        assert_eq!(
            taken,
            usize::try_from(LOOKS.at_once).expect("small"),
            "no more than at once, however long it rested"
        );
    }

    #[tokio::test]
    async fn an_answer_serves_everybody_for_a_while_and_a_failure_nobody() {
        let kept = Kept::<u32>::default();
        let asked = AtomicU32::new(0);
        let one = account("one");
        let ask = async |fails: bool| {
            let answer = asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if fails { Err("no") } else { Ok(answer) }
        };
        assert_eq!(kept.or_ask(&one, ask(true)).await, Err("no"));
        let answers = futures_util::future::join_all((0..30).map(|_| kept.or_ask(&one, ask(false)))).await;
        assert_eq!((answers, asked.load(Ordering::Relaxed)), (vec![Ok(1); 30], 2));
        assert_eq!(kept.or_ask(&account("other"), ask(false)).await, Ok(2));
        kept.forget(&one);
        assert_eq!(kept.or_ask(&one, ask(false)).await, Ok(3));
        let now = Instant::now();
        assert!(kept.serving(&one, now).is_some() && kept.serving(&one, now + SERVES).is_none(), "not for ever");
    }

    #[test]
    fn no_more_accounts_are_remembered_than_there_is_room_for() {
        let (kept, budget, now) = (Kept::<u32>::default(), Budget::new(ACTS), Instant::now());
        for n in 0..ACCOUNTS_MAX + 10 {
            let account = account(&format!("account-{n}"));
            kept.keep(&account, 0, now);
            assert_eq!(budget.take(&account, now), Ok(()));
            assert!(kept.answers.lock().len() <= ACCOUNTS_MAX && budget.full_at.lock().len() <= ACCOUNTS_MAX);
        }
        let later = now + SERVES;
        kept.keep(&account("late"), 0, later);
        assert!(kept.serving(&account("late"), later).is_some());
    }
}
