//! What the proxies do not see: the truth, Redis, and what billing processes have begun.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cache::{Outcome, outcome};
use entitlement::record::{self, HighWater};
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use tokio::sync::oneshot;

use super::rule::Rule;
use super::step::{ACCOUNTS, REPLICAS, Step};
use crate::ladder::redis::{Read, Shared};
use crate::ladder::{AccountId, Answer, Below, BelowError, Beside, DatabaseId, Entitlement, Heard, Line, Record, Told};

/// The database of all records.
const DATABASE: DatabaseId = DatabaseId::new(1);

/// How long Redis keeps that nothing is known of an account, in milliseconds.
const NEGATIVE_MS: u64 = 2_000;

/// Everything beside the proxies.
pub(super) struct Outside {
    /// The rule that is left out.
    pub(super) without: Option<Rule>,
    pub(super) now_ms: u64,
    /// When each version of each account was committed; the first is version 1, and before it nothing is known.
    pub(super) commits: [Vec<u64>; ACCOUNTS],
    /// The newest version of which the cache was told.
    pub(super) told: [u64; ACCOUNTS],
    pub(super) redis: [String; ACCOUNTS],
    /// When what Redis holds of an account goes by itself.
    expires_ms: [u64; ACCOUNTS],
    pub(super) replica: [String; ACCOUNTS],
    pub(super) is_refusing: bool,
    pub(super) is_behind: bool,
    /// Read by a billing process, to be published.
    pub(super) publishing: Vec<(usize, u64)>,
    /// Answers to misses that are on their way into Redis, and when they were read.
    pub(super) filling: Vec<(u64, (usize, u64))>,
    /// What was filled, to be looked at.
    pub(super) verifying: Vec<(usize, u64)>,
    /// What was told lately, to be stored again when the connection is another.
    pub(super) recent: Vec<(usize, u64)>,
    pub(super) is_reconnected: bool,
    /// Changes on their way to each proxy; `None` when it has no channel.
    pub(super) channels: [Option<VecDeque<Arc<Entitlement>>>; REPLICAS],
    /// Answers that are under way.
    pub(super) answers: Vec<oneshot::Sender<()>>,
}

impl Outside {
    /// As nothing has happened yet.
    pub(super) fn new(without: Option<Rule>) -> Self {
        Self {
            without,
            now_ms: 0,
            commits: Default::default(),
            told: [0; ACCOUNTS],
            redis: Default::default(),
            expires_ms: [u64::MAX; ACCOUNTS],
            replica: Default::default(),
            is_refusing: false,
            is_behind: false,
            publishing: Vec::new(),
            filling: Vec::new(),
            verifying: Vec::new(),
            recent: Vec::new(),
            is_reconnected: false,
            channels: std::array::from_fn(|_| None),
            answers: Vec::new(),
        }
    }

    pub(super) fn newest(&self, account: usize) -> u64 {
        self.commits[account].len() as u64
    }

    /// Runs the script. `Err` when Redis refuses.
    fn store(&mut self, (account, version): (usize, u64)) -> Result<Outcome, ()> {
        if self.is_refusing {
            return Err(());
        }
        let mut outcome = outcome(self.redis[account].as_bytes(), version);
        if self.without == Some(Rule::SetIfNewer) {
            outcome = Outcome::Stored;
        }
        if outcome == Outcome::Stored {
            self.redis[account] = record::encode(&Record { database: DATABASE, entitlement: made(account, version) })
                .expect("it encodes");
            self.expires_ms[account] = if version == 0 { self.now_ms + NEGATIVE_MS } else { u64::MAX };
        }
        Ok(outcome)
    }

    /// Time passes for Redis too.
    pub(super) fn expire(&mut self) {
        for account in 0..ACCOUNTS {
            if self.expires_ms[account] <= self.now_ms {
                self.redis[account].clear();
            }
        }
    }

    /// Redis has other contents now, of which what is short-lived goes as soon as it would have.
    pub(super) fn replace_redis(&mut self, contents: [String; ACCOUNTS]) {
        self.redis = contents;
        self.is_reconnected = true;
        for account in 0..ACCOUNTS {
            let is_negative = outcome(self.redis[account].as_bytes(), 0) == Outcome::Known;
            self.expires_ms[account] = if is_negative { self.now_ms + NEGATIVE_MS } else { u64::MAX };
        }
    }

    fn publish(&mut self, (account, version): (usize, u64)) {
        let Ok(outcome) = self.store((account, version)) else {
            self.is_behind = true;
            return;
        };
        let is_pushed = match self.without {
            Some(Rule::PushWhatIsKnown) => outcome == Outcome::Stored,
            _ => outcome != Outcome::Outdated,
        };
        if is_pushed {
            let record = Arc::new(made(account, version));
            self.channels.iter_mut().flatten().for_each(|channel| channel.push_back(Arc::clone(&record)));
        }
        self.told[account] = self.told[account].max(version);
        self.recent.push((account, version));
    }

    fn verify(&mut self, (account, version): (usize, u64)) {
        let newest = self.newest(account);
        if newest > version && self.without != Some(Rule::VerifyFills) {
            self.publish((account, newest));
        }
    }

    /// What billing does by itself before long.
    pub(super) fn settle(&mut self) {
        std::mem::take(&mut self.publishing).into_iter().for_each(|one| self.publish(one));
        std::mem::take(&mut self.verifying).into_iter().for_each(|one| self.verify(one));
        for account in 0..ACCOUNTS {
            if self.told[account] < self.newest(account) {
                self.publish((account, self.newest(account)));
            }
        }
        if (0..ACCOUNTS).all(|account| self.told[account] == self.newest(account)) {
            // What was told before may be lost, and cannot be stored again now.
            self.is_behind = self.is_reconnected && self.is_refusing;
        }
        if self.is_reconnected && !self.is_refusing {
            self.is_reconnected = false;
            if self.without == Some(Rule::StoreAgain) {
                return;
            }
            for told in self.recent.clone() {
                if self.store(told) == Ok(Outcome::Stored) {
                    self.publish((told.0, self.newest(told.0)));
                }
            }
        }
    }

    fn begin_answer(&mut self) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.answers.push(sender);
        receiver
    }
}

/// Redis and billing, as the proxies see them: what they answer is read when they are asked, and comes later.
pub(super) struct Asked(Mutex<Outside>);

impl Asked {
    pub(super) fn new(outside: Outside) -> Self {
        Self(Mutex::new(outside))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Shared for Asked {
    async fn read(&self, _: Option<&Line>, account: &AccountId, _: u64) -> Read {
        let (text, answer) = {
            let mut outside = self.lock();
            (outside.redis[index(account)].clone(), outside.begin_answer())
        };
        let _ = answer.await;
        if text.is_empty() {
            Read::Nothing
        } else {
            Read::Found(record::decode(&text).expect("it was encoded").entitlement)
        }
    }
}

#[async_trait]
impl Below for Asked {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        let (found, answer) = {
            let mut outside = self.lock();
            let found = (index(account), outside.newest(index(account)));
            let read_ms = outside.now_ms;
            outside.filling.push((read_ms, found));
            (found, outside.begin_answer())
        };
        let _ = answer.await;
        Ok(made(found.0, found.1).into())
    }

    async fn told(&self, _: Option<HighWater>) -> Result<Told, BelowError> {
        let outside = self.lock();
        let is_told = !outside.is_behind || outside.without == Some(Rule::TellOfBacklog);
        Ok(Told { is_told, heard: Heard::Nothing, mark: 0, beside: Beside::default() })
    }
}

/// What happens to Redis and to billing.
pub(super) fn happen(outside: &mut Outside, step: Step) {
    /// One of those that wait.
    fn one<T>(waiting: &mut Vec<T>, number: usize) -> Option<T> {
        (!waiting.is_empty()).then(|| waiting.remove(number % waiting.len()))
    }
    match step {
        Step::Commit(account) => outside.commits[account].push(outside.now_ms),
        Step::Snapshot(account) => outside.publishing.push((account, outside.newest(account))),
        Step::Publish(number) => {
            if let Some(next) = one(&mut outside.publishing, number) {
                outside.publish(next);
            }
        }
        Step::Fill(number) => {
            if let Some((_, next)) = one(&mut outside.filling, number)
                && outside.store(next) == Ok(Outcome::Stored)
                // That nothing is known lies there for a moment only, and is not looked at again.
                && next.1 > 0
            {
                outside.verifying.push(next);
            }
        }
        Step::Verify(number) => {
            if let Some(next) = one(&mut outside.verifying, number) {
                outside.verify(next);
            }
        }
        Step::Answer(number) => {
            if let Some(answer) = one(&mut outside.answers, number) {
                let _ = answer.send(());
            }
        }
        Step::Evict(account) => outside.redis[account].clear(),
        Step::Replicate => outside.replica = outside.redis.clone(),
        Step::Refuse => outside.is_refusing = true,
        Step::Accept => outside.is_refusing = false,
        // Those of the proxies.
        _ => {}
    }
}

pub(super) fn id(account: usize) -> AccountId {
    AccountId::parse(&account.to_string()).expect("an id")
}

fn index(account: &AccountId) -> usize {
    account.as_str().parse().expect("it was made from a number")
}

fn made(account: usize, version: u64) -> Entitlement {
    let plan = Plan {
        tier: "paid".into(),
        includes: [].into(),
        features: [].into(),
        limits: Default::default(),
        levels: Default::default(),
    };
    let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: None };
    let timeline = Timeline::try_from(vec![segment]).expect("a timeline");
    Entitlement { account: id(account), version, timeline }
}
