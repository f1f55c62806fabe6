//! The proxies of the model, and what is required of them after every step.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::outside::{Asked, Outside, happen, id};
use super::rule::Rule;
use super::step::{ACCOUNTS, REPLICAS, Step};
use crate::ladder::push::Sink;
use crate::ladder::*;
use crate::metrics::Metrics;

const MAX_STALENESS_MS: u64 = 5_000;

/// How long a channel may be dead before its proxy notices, in milliseconds: two heartbeats.
const NOTICED_MS: u64 = 2_500;

/// How long after it was read an answer may be filled in, in milliseconds: later it is given up.
const FILLED_MS: u64 = 1_500;

/// How often a proxy asks whether the cache could be told, in milliseconds.
const LOOK_MS: u64 = 1_250;

/// How far the wall clock of each proxy is from the others', in minutes: it must not matter.
const APART_MINUTES: [i64; REPLICAS] = [-7, 9];

/// A proxy.
struct Replica {
    ladder: Arc<Ladder>,
    /// Since when its channel is dead without a word.
    silent_ms: Option<u64>,
    looked_ms: u64,
    /// The versions that its memory has held, to see that none goes backward.
    held: [u64; ACCOUNTS],
    reads: Vec<Request>,
}

/// A request that waits.
struct Request {
    account: usize,
    asked_ms: u64,
    answer: JoinHandle<Result<Found, Unresolved>>,
}

pub(super) struct World {
    outside: Arc<Asked>,
    replicas: Vec<Replica>,
    start: Moment,
}

impl World {
    /// A world in which a rule is left out, or none.
    pub fn new(without: Option<Rule>) -> Self {
        let outside = Arc::new(Asked::new(Outside::new(without)));
        let start = crate::clock::moment();
        // No deadline ever ends by itself here.
        let never = Duration::from_secs(3600);
        let believed = if without == Some(Rule::KeepTheBound) { 2 * MAX_STALENESS_MS } else { MAX_STALENESS_MS };
        let settings = Settings {
            max_staleness: Duration::from_millis(believed),
            stale_if_error: Duration::from_secs(600),
            capacity: 100,
            redis_deadline: never,
            billing_deadline: never,
            redis_url: None,
            namespace: crate::ladder::tests::namespaced(),
        };
        let metrics = Metrics::get().expect("nobody has taken a name");
        let replica = |_| {
            let (shared, below) = (Arc::clone(&outside) as Arc<dyn Shared>, Arc::clone(&outside) as Arc<dyn Below>);
            let ladder = Ladder::over(Some(shared), &settings, Handle::current(), (below, start), metrics);
            Replica { ladder, silent_ms: None, looked_ms: 0, held: [0; ACCOUNTS], reads: Vec::new() }
        };
        let replicas = (0..REPLICAS).map(replica).collect();
        Self { outside, replicas, start }
    }

    /// One step, and everything that follows from it by itself.
    pub async fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Read(replica, account) => self.read(replica, account)?,
            Step::Recheck(replica, account) => self.reask(replica, account, Depth::Billing),
            Step::Reread(replica, account) => self.reask(replica, account, Depth::RedisAlone),
            Step::Flood(replica) => {
                let ladder = &self.replicas[replica].ladder;
                ladder.billing.spend(ladder.millis_at(self.now(replica)));
            }
            Step::Deliver(replica) => self.deliver(replica),
            Step::Lose(replica) => self.lose(replica),
            Step::Silence(replica) => {
                let mut outside = self.outside.lock();
                if outside.channels[replica].take().is_some() {
                    self.replicas[replica].silent_ms = Some(outside.now_ms);
                }
            }
            Step::Reconnect(replica) => self.reconnect(replica),
            Step::Forget(replica, account) => {
                self.replicas[replica].ladder.l1.forget(&id(account));
                self.replicas[replica].held[account] = 0;
            }
            Step::Restart => self.replace_redis(|_| Default::default()),
            Step::Failover => self.replace_redis(|outside| outside.replica.clone()),
            Step::Pass(ms) => self.pass(ms).await?,
            other => happen(&mut self.outside.lock(), other),
        }
        self.check().await
    }

    /// Heals everything, and requires that every proxy then serves what is true.
    pub async fn converge(&mut self) -> Result<(), String> {
        self.outside.lock().is_refusing = false;
        for replica in 0..REPLICAS {
            self.lose(replica);
        }
        for _ in 0..=MAX_STALENESS_MS / LOOK_MS {
            self.pass(LOOK_MS).await?;
            (0..REPLICAS).for_each(|replica| self.reconnect(replica));
        }
        for replica in 0..REPLICAS {
            for account in 0..ACCOUNTS {
                self.read(replica, account)?;
                self.settle().await?;
                let held = self.replicas[replica].ladder.l1.get(&id(account)).map(|entry| entry.record().version);
                let newest = self.outside.lock().newest(account);
                if held != Some(newest) {
                    return Err(format!("in the end proxy {replica} holds {held:?} of {account}, not {newest}"));
                }
            }
        }
        Ok(())
    }

    fn now(&self, replica: usize) -> Moment {
        let now = self.start.plus(Duration::from_millis(self.outside.lock().now_ms));
        Moment { time: now.time + chrono::Duration::minutes(APART_MINUTES[replica]), ..now }
    }

    fn is_without(&self, rule: Rule) -> bool {
        self.outside.lock().without == Some(rule)
    }

    fn read(&mut self, replica: usize, account: usize) -> Result<(), String> {
        let (now, asked_ms) = (self.now(replica), self.outside.lock().now_ms);
        let proxy = &mut self.replicas[replica];
        if let Some(found) = proxy.ladder.peek(&id(account), now) {
            return self.judge(replica, account, asked_ms, &found);
        }
        let ladder = Arc::clone(&proxy.ladder);
        let answer = tokio::spawn(async move { ladder.find(&id(account), now).await });
        proxy.reads.push(Request { account, asked_ms, answer });
        Ok(())
    }

    /// As before a denial; only the wait between two of them is left out, which is real time.
    fn reask(&mut self, replica: usize, account: usize, from: Depth) {
        let (now, asked_ms) = (self.now(replica), self.outside.lock().now_ms);
        let ladder = Arc::clone(&self.replicas[replica].ladder);
        let answer = tokio::spawn(async move {
            let (entry, layer) = ladder.fly(&ladder.rechecks, &id(account), from, now).await?;
            Ok(ladder.found(entry, layer, Freshness::Fresh, now))
        });
        self.replicas[replica].reads.push(Request { account, asked_ms, answer });
    }

    /// What is served as fresh is no older than it may be.
    fn judge(&self, replica: usize, account: usize, asked_ms: u64, found: &Found) -> Result<(), String> {
        let (outside, served) = (self.outside.lock(), found.entry.record().version);
        let due = outside.commits[account].iter().filter(|at| **at + MAX_STALENESS_MS < asked_ms).count() as u64;
        if found.freshness == Freshness::Stale || served >= due {
            return Ok(());
        }
        Err(format!("at {asked_ms} ms proxy {replica} serves version {served} of {account}, though {due} is old"))
    }

    fn deliver(&mut self, replica: usize) {
        let pushed = self.outside.lock().channels[replica].as_mut().and_then(VecDeque::pop_front);
        if let Some(record) = pushed
            && !self.is_without(Rule::TakePushesIn)
        {
            self.replicas[replica].ladder.pushed(record);
        }
    }

    fn lose(&mut self, replica: usize) {
        self.outside.lock().channels[replica] = None;
        self.replicas[replica].silent_ms = None;
        if !self.is_without(Rule::NoticeLoss) {
            self.replicas[replica].ladder.epoch.end();
        }
    }

    fn reconnect(&mut self, replica: usize) {
        // Whoever does not know of a loss does not connect again.
        if self.replicas[replica].silent_ms.is_some() {
            return;
        }
        let mut outside = self.outside.lock();
        if outside.channels[replica].is_none() {
            outside.channels[replica] = Some(VecDeque::new());
            // Who has not noticed that it was lost takes it for the same one.
            if outside.without != Some(Rule::NoticeLoss) || !self.replicas[replica].ladder.is_pushed() {
                self.replicas[replica].ladder.epoch.begin();
            }
        }
    }

    /// Redis has other contents now, and nobody's connection outlives that.
    fn replace_redis(&mut self, contents: impl FnOnce(&Outside) -> [String; ACCOUNTS]) {
        {
            let mut outside = self.outside.lock();
            let contents = contents(&outside);
            outside.replace_redis(contents);
        }
        (0..REPLICAS).for_each(|replica| self.lose(replica));
    }

    /// Everything is done that is done before long.
    async fn settle(&mut self) -> Result<(), String> {
        for _ in 0..4 {
            let answers = std::mem::take(&mut self.outside.lock().answers);
            for answer in answers {
                let _ = answer.send(());
            }
            self.check().await?;
        }
        self.outside.lock().settle();
        for replica in 0..REPLICAS {
            while self.outside.lock().channels[replica].as_ref().is_some_and(|channel| !channel.is_empty()) {
                self.deliver(replica);
            }
        }
        self.check().await
    }

    async fn pass(&mut self, ms: u64) -> Result<(), String> {
        self.settle().await?;
        let now_ms = {
            let mut outside = self.outside.lock();
            outside.now_ms += ms;
            let now_ms = outside.now_ms;
            outside.expire();
            outside.filling.retain(|(read_ms, _)| now_ms <= read_ms + FILLED_MS);
            now_ms
        };
        for replica in 0..REPLICAS {
            let is_silent = self.replicas[replica].silent_ms.is_some_and(|since| since + NOTICED_MS <= now_ms);
            if is_silent && !self.is_without(Rule::NoticeSilence) {
                self.lose(replica);
            }
            if self.replicas[replica].looked_ms + LOOK_MS <= now_ms {
                self.replicas[replica].looked_ms = now_ms;
                let now = self.now(replica);
                self.replicas[replica].ladder.look_below(now).await;
            }
        }
        Ok(())
    }

    /// Lets everything run that can, and looks at what came of it.
    async fn check(&mut self) -> Result<(), String> {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        for replica in 0..REPLICAS {
            let waiting = std::mem::take(&mut self.replicas[replica].reads);
            for request in waiting {
                if !request.answer.is_finished() {
                    self.replicas[replica].reads.push(request);
                } else if let Ok(found) = request.answer.await.map_err(|error| error.to_string())? {
                    self.judge(replica, request.account, request.asked_ms, &found)?;
                }
            }
            for account in 0..ACCOUNTS {
                let Some(entry) = self.replicas[replica].ladder.l1.get(&id(account)) else { continue };
                let (held, before) = (entry.record().version, self.replicas[replica].held[account]);
                if held < before {
                    return Err(format!("proxy {replica} goes from version {before} of {account} back to {held}"));
                }
                self.replicas[replica].held[account] = held;
            }
        }
        Ok(())
    }
}
