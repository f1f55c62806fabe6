//! Those who have not paid, in any number: what they cost the layers below, and that none of them who has just paid is
//! turned away for it. What is counted is questions, not time.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use tokio::sync::Semaphore;

use super::billing::{RECHECKS_BURST, RECHECKS_PER_SECOND};
use super::push::Sink;
use super::redis::{Read, Shared};
use super::*;

const ACCOUNTS: usize = 1_000;

/// How often each of them asks: whoever comes later than 200 ms after the last question need not wait.
const EVERY_MS: u64 = 250;

/// How long they ask.
const SECONDS: u64 = 5;

const PLENTY: usize = Semaphore::MAX_PERMITS / 2;

/// A layer below: what it holds, and how often it was asked.
struct Held {
    versions: Mutex<HashMap<AccountId, u64>>,
    questions: Mutex<HashMap<AccountId, u64>>,
    /// How many answers are let through.
    answers: Semaphore,
}

impl Held {
    fn new(answers: usize) -> Arc<Self> {
        Arc::new(Self { versions: Mutex::default(), questions: Mutex::default(), answers: Semaphore::new(answers) })
    }

    fn put(&self, account: &AccountId, version: u64) {
        self.versions.lock().expect("no panic").insert(account.clone(), version);
    }

    /// Read when it is asked; told when it is let.
    async fn ask(&self, account: &AccountId) -> Option<Entitlement> {
        *self.questions.lock().expect("no panic").entry(account.clone()).or_default() += 1;
        let version = self.versions.lock().expect("no panic").get(account).copied();
        self.answers.acquire().await.expect("never closed").forget();
        version.map(|version| record(account, version))
    }

    fn questions(&self) -> u64 {
        self.questions.lock().expect("no panic").values().sum()
    }

    fn about(&self, account: &AccountId) -> u64 {
        self.questions.lock().expect("no panic").get(account).copied().unwrap_or(0)
    }
}

struct Billing(Arc<Held>);

struct Cache(Arc<Held>);

#[async_trait]
impl Below for Billing {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        self.0.ask(account).await.map(Answer::from).ok_or(BelowError::Status(503))
    }
}

#[async_trait]
impl Shared for Cache {
    async fn read(&self, _: Option<&Line>, account: &AccountId, _: u64) -> Read {
        self.0.ask(account).await.map_or(Read::Nothing, Read::Found)
    }
}

fn record(account: &AccountId, version: u64) -> Entitlement {
    let (includes, features) = ([].into(), [].into());
    let plan = Plan { tier: "t".into(), includes, features, limits: Default::default(), levels: Default::default() };
    let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: None };
    let timeline = Timeline::try_from(vec![segment]).expect("a timeline");
    Entitlement { account: account.clone(), version, timeline }
}

struct World {
    ladder: Arc<Ladder>,
    billing: Arc<Held>,
    cache: Arc<Held>,
    accounts: Vec<AccountId>,
    start: Moment,
}

impl World {
    /// Accounts whose record has this version everywhere; of version 0 the cache keeps nothing. Billing answers as often as it
    /// is let.
    fn new(version: u64, answers: usize) -> Self {
        let settings = Settings {
            max_staleness: Duration::from_secs(5),
            stale_if_error: Duration::from_secs(600),
            capacity: 2 * ACCOUNTS,
            redis_deadline: Duration::from_secs(5),
            billing_deadline: Duration::from_secs(5),
            redis_url: None,
            namespace: super::tests::namespaced(),
        };
        let (billing, cache, start) = (Held::new(answers), Held::new(PLENTY), crate::clock::moment());
        let below: Arc<dyn Below> = Arc::new(Billing(Arc::clone(&billing)));
        let shared: Arc<dyn Shared> = Arc::new(Cache(Arc::clone(&cache)));
        let metrics = Metrics::get().expect("nobody has taken a name");
        let ladder = Ladder::over(Some(shared), &settings, Handle::current(), (below, start), metrics);
        ladder.epoch.begin();
        let accounts: Vec<_> = (0..ACCOUNTS).map(|n| AccountId::parse(&n.to_string()).expect("an id")).collect();
        for account in &accounts {
            billing.put(account, version);
            if version > 0 {
                cache.put(account, version);
            }
        }
        Self { ladder, billing, cache, accounts, start }
    }

    /// As a request that is denied does it: this process, then the layers below, then again before it is denied.
    async fn denied(&self, account: &AccountId, after_ms: u64) -> Found {
        let now = self.start.plus(Duration::from_millis(after_ms));
        let found = match self.ladder.peek(account, now) {
            Some(found) => found,
            None => self.ladder.find(account, now).await.expect("somebody knows"),
        };
        self.ladder.recheck(&found, now, |_| false).await.unwrap_or(found)
    }

    /// All of them, again and again. Returns how often billing was asked after everybody had come once.
    async fn flood(&self) -> u64 {
        let mut before = 0;
        for round in 0..=SECONDS * 1_000 / EVERY_MS {
            for account in &self.accounts {
                self.denied(account, round * EVERY_MS).await;
            }
            if round == 0 {
                before = self.billing.questions();
            }
        }
        self.billing.questions() - before
    }
}

const ALLOWED: u64 = RECHECKS_BURST + RECHECKS_PER_SECOND * SECONDS;

#[tokio::test]
async fn a_thousand_who_are_denied_again_and_again_cost_billing_no_more_than_the_budget() {
    let world = World::new(1, PLENTY);
    let asked = world.flood().await;
    assert!(asked <= ALLOWED, "{asked} questions, and {ALLOWED} are allowed");
    assert!(asked >= ALLOWED / 2, "{asked}: the budget is there to be used");
    for account in &world.accounts {
        let below = world.billing.about(account) + world.cache.about(account);
        assert!(below > SECONDS * 1_000 / EVERY_MS, "{below}: each denial was asked about below");
    }
}

#[tokio::test]
async fn a_thousand_of_whom_nothing_is_known_cost_no_more_while_changes_are_pushed() {
    let world = World::new(0, PLENTY);
    let asked = world.flood().await;
    assert!(asked <= ALLOWED, "{asked} questions, and {ALLOWED} are allowed");
    // One of them pays: what is pushed is served at once.
    let buyer = &world.accounts[0];
    world.ladder.pushed(Arc::new(record(buyer, 1)));
    let found = world.ladder.peek(buyer, world.start.plus(Duration::from_secs(SECONDS))).expect("it is there");
    assert_eq!(found.entry.record().version, 1);
}

#[tokio::test]
async fn who_has_just_paid_is_not_turned_away_in_the_midst_of_it_though_no_push_has_come() {
    let world = World::new(1, PLENTY);
    world.flood().await;
    let later_ms = SECONDS * 1_000;
    for (n, buyer) in world.accounts.iter().enumerate() {
        world.billing.put(buyer, 2);
        world.cache.put(buyer, 2);
        let found = world.denied(buyer, later_ms + EVERY_MS).await;
        assert_eq!(found.entry.record().version, 2, "buyer {n}");
    }
    let asked = world.cache.questions();
    assert!(asked > 0, "beyond the budget it is Redis that says so");
}

#[tokio::test]
async fn a_cache_that_lacks_changes_is_not_asked_instead() {
    let world = World::new(1, PLENTY);
    world.flood().await;
    world.ladder.epoch.told(false);
    let before = world.cache.questions();
    for account in &world.accounts {
        world.denied(account, SECONDS * 1_000 + EVERY_MS).await;
    }
    assert_eq!(world.cache.questions(), before);
}

#[tokio::test]
async fn nobody_is_denied_by_the_answer_to_a_question_that_was_asked_before_they_came() {
    for is_known in [false, true] {
        let world = Arc::new(World::new(1, 0));
        let account = world.accounts[0].clone();
        world.cache.versions.lock().expect("no panic").clear();
        if is_known {
            world.billing.answers.add_permits(1);
            world.denied(&account, 0).await;
        }
        let asked = world.billing.questions();
        let ask = |after_ms| {
            let (world, account) = (Arc::clone(&world), account.clone());
            tokio::spawn(async move { world.denied(&account, after_ms).await.entry.record().version })
        };
        let early = ask(1_000);
        while world.billing.questions() == asked {
            tokio::task::yield_now().await;
        }
        // The answer has been read and is under way when the payment is committed, and then the buyer comes.
        world.billing.put(&account, 2);
        let buyer = ask(1_500);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        world.billing.answers.add_permits(PLENTY);
        assert_eq!(buyer.await.expect("no panic"), 2, "known before: {is_known}");
        early.await.expect("no panic");
    }
}
