//! An answer as it is kept, and its worth at a moment.

use std::time::{Duration, Instant};

use entitlement::Timestamp;
use entitlement::account::AccountId;

use super::answer::Said;
use crate::clock::Moment;
use crate::identity::principal::Principal;

/// The least time between two questions about a credential without an account, or without an answer.
const PAUSE: Duration = Duration::from_secs(1);

/// The outcome for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Verdict {
    Account(Principal),
    Nobody,
    /// The site has not said, and nothing that is kept counts.
    Unknown,
}

/// Whether the site is asked again about a session that it has said belongs to no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Insist {
    No,
    Yes,
}

/// The last answer about a credential.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// The site's last word; unknown where it has never answered.
    word: Verdict,
    /// When it was last asked.
    asked: Instant,
    /// Whether it did not answer then.
    has_failed: bool,
    fresh_until: Instant,
    stale_until: Instant,
    /// When the session ends by itself.
    ends: Option<Timestamp>,
    /// The push epoch in which it was asked; 0 where nothing was pushed.
    epoch: u32,
}

/// Whether this process would be told of a session that ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Push {
    /// The current push epoch; 0 where nothing is pushed.
    pub(super) epoch: u32,
    /// How long an answer counts at most of which an end may have been missed.
    pub(super) max_staleness: Duration,
}

impl Push {
    /// Of a process that follows no changes, as in tests: nothing is missed.
    pub(super) const ALWAYS: Self = Self { epoch: 1, max_staleness: Duration::ZERO };
}

impl Kept {
    /// The answer to a question that began at `asked`.
    pub(super) fn answered(said: Said, (asked, epoch): (Moment, u32), stale: Duration) -> Self {
        let fresh_until = asked.tick + said.keep;
        let word = said.principal.map_or(Verdict::Nobody, Verdict::Account);
        let (has_failed, stale_until) = (false, fresh_until + stale);
        Self { word, asked: asked.tick, has_failed, fresh_until, stale_until, ends: said.ends, epoch }
    }

    /// The state after a question that began at `asked` and has no answer: the answer before it, for as long as before.
    pub(super) fn failed(before: Option<Self>, asked: Moment) -> Self {
        match before {
            Some(before) => Self { asked: asked.tick, has_failed: true, ..before },
            None => Self {
                word: Verdict::Unknown,
                asked: asked.tick,
                has_failed: true,
                fresh_until: asked.tick,
                stale_until: asked.tick,
                ends: None,
                epoch: 0,
            },
        }
    }

    /// The outcome now; none when the site is to be asked. Where this process may not have been told of the end of the session, the answer
    /// counts no longer than any other knowledge.
    pub(super) fn now(&self, now: Moment, insist: Insist, push: Push) -> Option<Verdict> {
        let is_paused = now.tick.saturating_duration_since(self.asked) < PAUSE;
        if self.has_failed && is_paused {
            return Some(self.without_answer(now));
        }
        let is_told = push.epoch != 0 && push.epoch == self.epoch;
        if now.tick >= self.fresh_until
            || (!is_told && now.tick >= self.asked + push.max_staleness)
            || self.has_ended(now)
        {
            return None;
        }
        match (&self.word, insist) {
            (Verdict::Nobody, Insist::Yes) if !is_paused => None,
            (word, _) => Some(word.clone()),
        }
    }

    /// The outcome when the site does not answer.
    pub(super) fn without_answer(&self, now: Moment) -> Verdict {
        if now.tick < self.stale_until && !self.has_ended(now) { self.word.clone() } else { Verdict::Unknown }
    }

    /// The outcome for the requests that have waited for the answer, however short the answer is kept.
    pub(super) fn at_once(&self, now: Moment) -> Verdict {
        if self.has_failed { self.without_answer(now) } else { self.word.clone() }
    }

    /// Whether the site has last said that it is of an account.
    pub(super) const fn is_of_account(&self) -> bool {
        matches!(self.word, Verdict::Account(_))
    }

    /// Whether the site has last said that it is of this account.
    pub(super) fn is_of(&self, account: &AccountId) -> bool {
        matches!(&self.word, Verdict::Account(principal) if principal.account == *account)
    }

    fn has_ended(&self, now: Moment) -> bool {
        self.ends.is_some_and(|ends| ends <= now.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const STALE: Duration = Duration::from_secs(300);

    fn account() -> Verdict {
        Verdict::Account(AccountId::parse("u").expect("an id").into())
    }

    fn said(word: &Verdict, keep_seconds: u64, ends: Option<Timestamp>) -> Said {
        let principal = if let Verdict::Account(principal) = word { Some(principal.clone()) } else { None };
        Said { principal, unread: None, keep: Duration::from_secs(keep_seconds), ends }
    }

    #[test]
    fn an_answer_counts_as_long_as_this_table_says() {
        use Insist::{No, Yes};
        let asked = clock::moment();
        let ends = |seconds| Some(asked.time + chrono::Duration::seconds(seconds));
        let after = |ms| asked.plus(Duration::from_millis(ms));
        let nobody = Verdict::Nobody;
        for (word, keep, ends, ms, insist, expected, without) in [
            (account(), 30, None, 0, No, Some(account()), account()),
            (account(), 30, None, 29_999, Yes, Some(account()), account()),
            (account(), 30, None, 30_000, No, None, account()),
            (account(), 30, None, 329_999, No, None, account()),
            (account(), 30, None, 330_000, No, None, Verdict::Unknown),
            // The session itself ends.
            (account(), 30, ends(10), 9_999, No, Some(account()), account()),
            (account(), 30, ends(10), 10_000, No, None, Verdict::Unknown),
            (account(), 0, None, 0, No, None, account()),
            // Before a 401 it is asked again, once a second.
            (nobody.clone(), 30, None, 29_999, No, Some(nobody.clone()), nobody.clone()),
            (nobody.clone(), 30, None, 999, Yes, Some(nobody.clone()), nobody.clone()),
            (nobody.clone(), 30, None, 1_000, Yes, None, nobody.clone()),
            (nobody.clone(), 30, None, 330_000, No, None, Verdict::Unknown),
        ] {
            let kept = Kept::answered(said(&word, keep, ends), (asked, 1), STALE);
            let what = format!("{word:?} kept {keep} s, ends {ends:?}, after {ms} ms, {insist:?}");
            assert_eq!(kept.now(after(ms), insist, Push::ALWAYS), expected, "{what}");
            assert_eq!(kept.without_answer(after(ms)), without, "{what}");
            assert_eq!(kept.at_once(asked), word, "{what}");
        }
    }

    #[test]
    fn an_answer_of_which_an_end_may_have_been_missed_counts_no_longer_than_other_knowledge() {
        let asked = clock::moment();
        let max_staleness = Duration::from_secs(5);
        for (own, current, ms, expected) in [
            (3, 3, 29_999, true),
            (3, 3, 30_000, false),
            // The channel is lost, or was lost and is back.
            (3, 0, 4_999, true),
            (3, 0, 5_000, false),
            (3, 4, 5_000, false),
            (0, 0, 4_999, true),
            (0, 0, 5_000, false),
        ] {
            let kept = Kept::answered(said(&account(), 30, None), (asked, own), STALE);
            let push = Push { epoch: current, max_staleness };
            let verdict = kept.now(asked.plus(Duration::from_millis(ms)), Insist::No, push);
            assert_eq!(verdict.is_some(), expected, "asked in epoch {own}, now {current}, after {ms} ms");
            // The site does not answer: the last answer counts on, as ever.
            assert_eq!(kept.without_answer(asked.plus(Duration::from_millis(ms))), account());
        }
    }

    #[test]
    fn after_a_question_without_an_answer_the_last_one_counts_on_and_no_other_is_asked_for_a_second() {
        let asked = clock::moment();
        let after = |ms| asked.plus(Duration::from_millis(ms));
        let before = Kept::answered(said(&account(), 30, None), (asked, 1), STALE);
        let failed = Kept::failed(Some(before), after(40_000));
        for (ms, expected) in [(40_000, Some(account())), (40_999, Some(account())), (41_000, None)] {
            assert_eq!(failed.now(after(ms), Insist::Yes, Push::ALWAYS), expected, "{ms}");
        }
        assert!(failed.is_of_account());
        let late = Kept::failed(Some(failed), after(330_000));
        assert_eq!(
            late.now(after(330_000), Insist::No, Push::ALWAYS),
            Some(Verdict::Unknown),
            "no longer than it would have"
        );
        let never = Kept::failed(None, asked);
        assert_eq!(never.at_once(asked), Verdict::Unknown);
        assert_eq!(
            [0, 999, 1_000].map(|ms| never.now(after(ms), Insist::No, Push::ALWAYS)),
            [Some(Verdict::Unknown), Some(Verdict::Unknown), None]
        );
        assert!(!never.is_of_account());
    }
}
