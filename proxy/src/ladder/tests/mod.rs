//! The ladder with a billing component that the tests hold in their hand, and without Redis.

mod denial;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use entitlement::timeline::{Plan, Segment, Status, Timeline};
use tokio::sync::Semaphore;

use super::push::Sink;
use super::*;

/// Billing: answers what it was given, and only as often as it is allowed to.
struct Billing {
    records: Mutex<HashMap<AccountId, Entitlement>>,
    questions: AtomicUsize,
    answers: Semaphore,
}

#[async_trait]
impl Below for Billing {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        // Read before the wait: what comes in meanwhile is newer than the answer.
        let record = self.records.lock().expect("no panic").get(account).cloned();
        self.answers.acquire().await.expect("never closed").forget();
        record.map(Answer::from).ok_or(BelowError::Status(503))
    }
}

struct World {
    ladder: Arc<Ladder>,
    billing: Arc<Billing>,
    start: Moment,
}

const PLENTY: usize = 1_000_000;

#[tokio::test]
async fn what_was_known_before_a_person_agreed_counts_less_than_what_is_said_since() {
    let world = World::new(PLENTY);
    let at = |at_ms| Confirmation { epoch: 0, at_ms, source: Source::Billing };
    let l1 = &world.ladder.l1;
    let held = |entry: Arc<Entry>| (entry.record().version, entry.confirmed_ms());
    assert_eq!(held(l1.offer(record(7, "paid"), at(100), 0)), (7, 100));
    assert_eq!(held(l1.offer(record(3, "free"), at(200), 0)), (7, 100), "versions are compared");
    // From 300 on another database counts.
    assert_eq!(l1.version(&account(), 300), 0);
    assert_eq!(held(l1.offer(record(3, "free"), at(250), 300)), (7, 100), "an answer from before is as old");
    assert_eq!(held(l1.offer(record(3, "free"), at(300), 300)), (3, 300));
    assert_eq!(l1.version(&account(), 300), 3);
    assert_eq!(held(l1.offer(record(8, "paid"), at(299), 300)), (3, 300), "what was asked before comes too late");
    assert_eq!(held(l1.offer(record(2, "paid"), at(400), 300)), (3, 300), "versions are compared again");
    assert_eq!(held(l1.offer(record(4, "paid"), at(400), 300)), (4, 400));
    // Of the same version, it is another record.
    assert_eq!(l1.offer(record(4, "free"), at(500), 500).record(), &record(4, "free"));
}

/// As billing tells it in the same process.
fn told(version: u64) -> Arc<Record> {
    Arc::new(Record { database: DatabaseId::new(1), entitlement: record(version, "paid") })
}

pub(super) fn namespaced() -> Namespaced {
    Namespaced::Made(entitlement::record::Namespace::parse("tests").expect("a namespace"))
}

fn moment() -> Moment {
    crate::clock::moment()
}

fn account() -> AccountId {
    AccountId::parse("a").expect("an id")
}

fn record(version: u64, tier: &str) -> Entitlement {
    let plan = Plan {
        tier: tier.into(),
        includes: [tier.into()].into(),
        features: [].into(),
        limits: Default::default(),
        levels: Default::default(),
    };
    let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: None };
    let timeline = Timeline::try_from(vec![segment]).expect("a timeline");
    Entitlement { account: account(), version, timeline }
}

impl World {
    fn new(answers: usize) -> Self {
        let settings = Settings {
            max_staleness: Duration::from_secs(5),
            stale_if_error: Duration::from_secs(600),
            capacity: 1000,
            redis_deadline: Duration::from_millis(50),
            billing_deadline: Duration::from_millis(200),
            redis_url: None,
            namespace: namespaced(),
        };
        let billing = Arc::new(Billing {
            records: Mutex::default(),
            questions: AtomicUsize::new(0),
            answers: Semaphore::new(answers),
        });
        let start = moment();
        let below = Arc::clone(&billing) as Arc<dyn Below>;
        let ladder = Ladder::new(&settings, Handle::current(), below, start).expect("a ladder");
        Self { ladder, billing, start }
    }

    fn holds(&self, record: Entitlement) {
        self.billing.records.lock().expect("no panic").insert(record.account.clone(), record);
    }

    fn forgets(&self) {
        self.billing.records.lock().expect("no panic").clear();
    }

    fn questions(&self) -> usize {
        self.billing.questions.load(Ordering::SeqCst)
    }

    fn after(&self, seconds: f64) -> Moment {
        self.start.plus(Duration::from_secs_f64(seconds))
    }

    /// As a request does it: this process first, then the layers below.
    async fn ask(&self, now: Moment) -> Result<Found, Unresolved> {
        match self.ladder.peek(&account(), now) {
            Some(found) => Ok(found),
            None => self.ladder.find(&account(), now).await,
        }
    }

    /// Layer, version and freshness of an answer.
    async fn told(&self, seconds: f64) -> Option<(Layer, u64, Freshness)> {
        let found = self.ask(self.after(seconds)).await.ok()?;
        Some((found.layer, found.entry.record().version, found.freshness))
    }
}

use Freshness::{Fresh, Stale};
use Layer::{Billing as FromBilling, L1 as FromL1};

#[tokio::test]
async fn a_thousand_requests_at_once_ask_once() {
    let world = Arc::new(World::new(0));
    world.holds(record(1, "paid"));
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.told(0.0).await })
        })
        .collect();
    while world.questions() == 0 {
        tokio::task::yield_now().await;
    }
    world.billing.answers.add_permits(PLENTY);
    for request in requests {
        let (_, version, freshness) = request.await.expect("no panic").expect("an answer");
        assert_eq!((version, freshness), (1, Fresh));
    }
    assert_eq!(world.questions(), 1);
}

#[tokio::test]
async fn who_leaves_takes_nobody_along() {
    let world = Arc::new(World::new(0));
    world.holds(record(1, "paid"));
    let leader = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.told(0.0).await }
    });
    while world.questions() == 0 {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.told(0.0).await }
    });
    leader.abort();
    assert!(leader.await.expect_err("it was cancelled").is_cancelled());
    world.billing.answers.add_permits(PLENTY);
    assert!(second.await.expect("no panic").is_some());
    assert_eq!(world.questions(), 1);
}

#[tokio::test]
async fn without_push_a_record_is_fresh_for_max_staleness() {
    let world = World::new(PLENTY);
    world.holds(record(1, "paid"));
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    assert_eq!(world.told(5.0).await, Some((FromL1, 1, Fresh)));
    assert_eq!(world.questions(), 1);
    assert_eq!(world.told(5.1).await, Some((FromBilling, 1, Fresh)), "asked again");
    assert_eq!(world.told(10.0).await, Some((FromL1, 1, Fresh)), "and confirmed");
    assert_eq!(world.questions(), 2);
}

#[tokio::test]
async fn with_push_a_record_is_fresh_for_the_epoch_in_which_it_was_confirmed() {
    let world = World::new(PLENTY);
    world.holds(record(1, "paid"));
    world.ladder.epoch.begin();
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    assert_eq!(world.told(86_400.0).await, Some((FromL1, 1, Fresh)));
    world.ladder.epoch.end();
    assert_eq!(world.told(86_400.0).await, Some((FromBilling, 1, Fresh)), "a lost channel is known");
    world.ladder.epoch.begin();
    assert_eq!(world.told(86_410.0).await, Some((FromBilling, 1, Fresh)), "nothing of before counts");
    assert_eq!(world.told(172_800.0).await, Some((FromL1, 1, Fresh)));
}

#[tokio::test]
async fn what_a_cache_says_is_believed_for_half_as_long_as_what_billing_says() {
    let world = World::new(PLENTY);
    world.holds(record(1, "paid"));
    let at_ms = world.ladder.millis_at(world.start);
    world.ladder.l1.offer(record(1, "paid"), Confirmation { epoch: 0, at_ms, source: Source::Cache }, 0);
    assert_eq!(world.told(2.5).await, Some((FromL1, 1, Fresh)));
    assert_eq!(world.told(2.6).await, Some((FromBilling, 1, Fresh)), "it may have been outdated when it was read");
    assert_eq!(world.told(7.6).await, Some((FromL1, 1, Fresh)));
}

#[tokio::test]
async fn while_the_cache_cannot_be_told_of_changes_there_is_no_push() {
    let world = World::new(PLENTY);
    world.holds(record(1, "paid"));
    world.ladder.epoch.begin();
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    world.ladder.epoch.told(false);
    assert_eq!(world.told(10.0).await, Some((FromBilling, 1, Fresh)), "whoever could tell cannot");
    world.ladder.epoch.begin();
    assert_eq!(world.told(20.0).await, Some((FromBilling, 1, Fresh)), "nor can they on another channel");
    world.ladder.epoch.told(true);
    assert_eq!(world.told(30.0).await, Some((FromBilling, 1, Fresh)), "nothing of before counts");
    assert_eq!(world.told(3_000.0).await, Some((FromL1, 1, Fresh)));
}

#[tokio::test]
async fn a_push_is_seen_at_once_and_never_goes_backward() {
    let world = World::new(PLENTY);
    world.holds(record(2, "free"));
    world.ladder.epoch.begin();
    assert_eq!(world.told(0.0).await, Some((FromBilling, 2, Fresh)));
    world.ladder.pushed(Arc::new(record(3, "paid")));
    assert_eq!(world.told(0.0).await, Some((FromL1, 3, Fresh)));
    world.ladder.pushed(Arc::new(record(1, "old")));
    assert_eq!(world.told(0.0).await, Some((FromL1, 3, Fresh)));
}

#[tokio::test]
async fn a_push_about_an_account_that_nobody_asks_for_takes_no_room() {
    let world = World::new(PLENTY);
    world.ladder.pushed(Arc::new(record(3, "paid")));
    assert!(world.ladder.peek(&account(), world.start).is_none());
}

#[tokio::test]
async fn an_answer_that_a_push_overtook_does_not_win() {
    let world = Arc::new(World::new(0));
    world.holds(record(1, "free"));
    world.ladder.epoch.begin();
    let request = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.told(0.0).await }
    });
    while world.questions() == 0 {
        tokio::task::yield_now().await;
    }
    world.ladder.pushed(Arc::new(record(2, "paid")));
    world.billing.answers.add_permits(PLENTY);
    assert_eq!(request.await.expect("no panic").map(|(_, version, _)| version), Some(2));
    assert_eq!(world.told(0.0).await, Some((FromL1, 2, Fresh)));
}

#[tokio::test]
async fn an_older_answer_of_billing_never_replaces_a_newer_record() {
    let world = World::new(PLENTY);
    world.holds(record(5, "paid"));
    assert_eq!(world.told(0.0).await, Some((FromBilling, 5, Fresh)));
    world.holds(record(4, "free"));
    assert_eq!(world.told(6.0).await.map(|(_, version, _)| version), Some(5));
    assert_eq!(world.ladder.l1.get(&account()).expect("it is there").record().version, 5);
}

#[tokio::test]
async fn when_nothing_answers_a_record_serves_on_within_its_bound() {
    let world = World::new(PLENTY);
    world.holds(record(1, "paid"));
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    world.forgets();
    assert_eq!(world.told(5.1).await, Some((FromL1, 1, Stale)));
    assert_eq!(world.told(600.0).await, Some((FromL1, 1, Stale)));
    assert_eq!(world.told(600.1).await, None);
    world.holds(record(1, "paid"));
    assert_eq!(world.told(601.0).await, Some((FromBilling, 1, Fresh)), "and it recovers by itself");
}

#[tokio::test]
async fn of_an_account_that_nobody_knows_little_is_kept() {
    let world = World::new(PLENTY);
    world.holds(record(0, "free"));
    world.ladder.epoch.begin();
    assert_eq!(world.told(0.0).await, Some((FromBilling, 0, Fresh)));
    assert_eq!(world.told(2.0).await, Some((FromL1, 0, Fresh)));
    assert_eq!(world.told(2.1).await, Some((FromBilling, 0, Fresh)), "even while changes are pushed");
    world.forgets();
    assert_eq!(world.told(10.0).await, None, "and it never serves on");
    world.holds(record(0, "new catalog"));
    let found = world.ask(world.after(11.0)).await.expect("an answer");
    assert_eq!(&*found.entry.record().timeline.segments()[0].plan.tier, "new catalog");
}

#[tokio::test]
async fn billing_that_fails_is_left_alone_for_a_moment() {
    let world = World::new(PLENTY);
    for _ in 0..20 {
        assert_eq!(world.told(0.0).await, None);
    }
    assert_eq!(world.questions(), billing::FAILURES_MAX as usize);
    world.holds(record(1, "paid"));
    assert_eq!(world.told(1.0).await, Some((FromBilling, 1, Fresh)));
}

#[tokio::test]
async fn an_answer_about_another_account_is_none() {
    let world = World::new(PLENTY);
    let other = Entitlement { account: AccountId::parse("b").expect("an id"), ..record(9, "paid") };
    world.billing.records.lock().expect("no panic").insert(account(), other);
    assert_eq!(world.told(0.0).await, None);
}

#[tokio::test]
async fn accounts_of_one_plan_share_it() {
    let world = World::new(PLENTY);
    let confirmation = Confirmation { epoch: 0, at_ms: 1, source: Source::Cache };
    let offer = |id: &str| {
        let account = AccountId::parse(id).expect("an id");
        let entry = world.ladder.l1.offer(Entitlement { account, ..record(1, "paid") }, confirmation, 0);
        Arc::clone(&entry.record().timeline.segments()[0].plan)
    };
    assert!(Arc::ptr_eq(&offer("x"), &offer("y")));
}

#[tokio::test]
async fn the_channel_of_this_process_carries_changes_and_its_end_is_known() {
    let world = World::new(PLENTY);
    let (sender, receiver) = broadcast::channel(4);
    let follower = tokio::spawn(push::follow_local(receiver, Arc::clone(&world.ladder)));
    while !world.ladder.is_pushed() {
        tokio::task::yield_now().await;
    }
    world.holds(record(1, "free"));
    assert_eq!(world.told(0.0).await, Some((FromBilling, 1, Fresh)));
    sender.send(told(2)).expect("somebody listens");
    while world.told(0.0).await != Some((FromL1, 2, Fresh)) {
        tokio::task::yield_now().await;
    }
    for version in 3..=12 {
        sender.send(told(version)).expect("somebody listens");
    }
    let before = world.ladder.epoch.current();
    while world.ladder.epoch.current() == before {
        tokio::task::yield_now().await;
    }
    drop(sender);
    follower.await.expect("it ends");
    assert!(!world.ladder.is_pushed(), "after missed changes a new epoch began, and now it is over");
}

#[test]
fn a_million_accounts_fit_as_an_entry_is_small() {
    // Beside its reference counts, its account id and its segments.
    assert!(size_of::<Entry>() <= 64, "{} bytes", size_of::<Entry>());
    assert!(size_of::<Segment>() <= 32, "{} bytes", size_of::<Segment>());
}
