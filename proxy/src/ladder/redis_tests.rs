//! The ladder on a real Redis server: what it reads, and how it learns that it is no longer told of changes.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use entitlement::record::{self, DatabaseId, HighWater, Record, before};
use entitlement::timeline::{Plan, Segment, Status, Timeline};

use super::*;

/// A Redis server that ends with the test.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(port: u16) -> Self {
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        Self { process, url: format!("redis://127.0.0.1:{port}") }
    }

    /// Sends the process a signal: STOP makes it silent, CONT lets it go on.
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
        let client = ::redis::Client::open(self.url.as_str()).expect("a URL");
        loop {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already, in one test.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Billing that knows one thing of everybody, and counts how often it is asked.
struct Billing(AtomicUsize);

#[async_trait]
impl Below for Billing {
    async fn resolve(&self, account: &AccountId) -> Result<Answer, BelowError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(record(account.as_str(), 1, "from billing").into())
    }

    async fn told(&self, _: Option<HighWater>) -> Result<Told, BelowError> {
        let namespace = super::tests::namespaced().namespace().clone();
        let line =
            Line { namespace, database: OURS, owner: Some(OURS), is_settled: true, is_beside: false, is_known: true };
        Ok(Told { is_told: true, heard: Heard::Line(Arc::new(line)), mark: 0, beside: Beside::default() })
    }
}

/// The database of billing, and another one.
const OURS: DatabaseId = DatabaseId::new(1);
const THEIRS: DatabaseId = DatabaseId::new(2);

fn key(account: &str) -> String {
    super::tests::namespaced().namespace().key(OURS, &AccountId::parse(account).expect("an id"))
}

fn encoded(database: DatabaseId, entitlement: Entitlement) -> String {
    record::encode(&Record { database, entitlement }).expect("it encodes")
}

fn record(account: &str, version: u64, tier: &str) -> Entitlement {
    let (includes, features) = ([tier.into()].into(), [].into());
    let plan = Plan { tier: tier.into(), includes, features, limits: Default::default(), levels: Default::default() };
    let segment = Segment { until: None, status: Status::Active, plan: Arc::new(plan), sources: None };
    let account = AccountId::parse(account).expect("an id");
    Entitlement { account, version, timeline: Timeline::try_from(vec![segment]).expect("a timeline") }
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

fn ladder(server: &Server) -> (Arc<Ladder>, Arc<Billing>) {
    let settings = Settings {
        max_staleness: Duration::from_secs(1),
        stale_if_error: Duration::from_secs(600),
        capacity: 1000,
        redis_deadline: Duration::from_millis(50),
        billing_deadline: Duration::from_millis(200),
        redis_url: Some(Secret::new(server.url.clone())),
        namespace: super::tests::namespaced(),
    };
    let billing = Arc::new(Billing(AtomicUsize::new(0)));
    let below = Arc::clone(&billing) as Arc<dyn Below>;
    let ladder = Ladder::new(&settings, Handle::current(), below, crate::clock::moment()).expect("a ladder");
    ladder.follow(&settings, None).expect("a URL");
    (ladder, billing)
}

async fn find(ladder: &Arc<Ladder>, account: &str) -> (Layer, String) {
    let (account, now) = (AccountId::parse(account).expect("an id"), crate::clock::moment());
    let found = match ladder.peek(&account, now) {
        Some(found) => found,
        None => ladder.find(&account, now).await.expect("somebody knows"),
    };
    (found.layer, found.entry.record().timeline.segments()[0].plan.tier.to_string())
}

/// Waits for a change in the background, and fails when it takes longer than anybody would wait.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let reached = timeout(Duration::from_secs(10), async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    reached.await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_holds_is_read_unless_it_is_no_record() {
    let server = Server::start(port());
    let mut redis = server.connection().await;
    let (ladder, billing) = ladder(&server);
    let set = |account: &str, value: String| {
        let mut command = ::redis::cmd("SET");
        command.arg(key(account)).arg(value);
        command
    };
    let good = encoded(OURS, record("good", 7, "paid"));
    let alien = encoded(THEIRS, record("alien", 7, "paid"));
    let old = before::encode(&record("old", 7, "paid")).expect("it encodes");
    let foreign = encoded(OURS, record("other", 7, "paid"));
    let stored = [("good", good), ("foreign", foreign), ("alien", alien), ("old", old)];
    let broken = [("bad", "x".to_owned()), ("newer", "3:7:{}".to_owned())];
    for (account, value) in stored.into_iter().chain(broken) {
        let () = set(account, value).query_async(&mut redis).await.expect("it is stored");
    }
    let _: i64 = ::redis::cmd("RPUSH").arg(key("list")).arg("x").query_async(&mut redis).await.expect("it is stored");
    // Records where older builds wrote are nobody's.
    let before = before::key(&AccountId::parse("elsewhere").expect("an id"));
    let text = before::encode(&record("elsewhere", 9, "paid")).expect("it encodes");
    let () = ::redis::cmd("SET").arg(before).arg(text).query_async(&mut redis).await.expect("it is stored");
    until("billing has said whose records count", || ladder.lines.line().is_some()).await;
    assert_eq!(find(&ladder, "good").await, (Layer::Redis, "paid".to_owned()));
    assert_eq!(billing.0.load(Ordering::SeqCst), 0);
    for account in ["absent", "foreign", "alien", "old", "elsewhere", "bad", "newer", "list"] {
        assert_eq!(find(&ladder, account).await, (Layer::Billing, "from billing".to_owned()), "{account}");
    }
    assert_eq!(find(&ladder, "good").await.0, Layer::L1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_change_is_taken_in_and_an_unreadable_one_makes_everything_old() {
    let server = Server::start(port());
    let mut redis = server.connection().await;
    let (ladder, _) = ladder(&server);
    until("push", || ladder.is_pushed()).await;
    assert_eq!(find(&ladder, "a").await.1, "from billing");
    let publish = |text: String| {
        let mut command = ::redis::cmd("PUBLISH");
        command.arg(super::tests::namespaced().namespace().channel()).arg(text);
        command
    };
    let change = encoded(OURS, record("a", 2, "paid"));
    let told: i64 = publish(change).query_async(&mut redis).await.expect("it is published");
    assert_eq!(told, 1);
    let known = || ladder.l1.get(&AccountId::parse("a").expect("an id")).expect("it is there").record().version;
    until("the change", || known() == 2).await;
    // A change of another database is not taken in, and makes nothing old.
    let epoch = ladder.epoch.current();
    let _: i64 =
        publish(encoded(THEIRS, record("a", 9, "free"))).query_async(&mut redis).await.expect("it is published");
    let _: i64 = publish(encoded(OURS, record("a", 3, "paid"))).query_async(&mut redis).await.expect("it is published");
    until("the next change", || known() == 3).await;
    assert_eq!(ladder.epoch.current(), epoch);
    let _: i64 = publish("nonsense".into()).query_async(&mut redis).await.expect("it is published");
    until("a new epoch", || ladder.epoch.current() == epoch + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_is_noticed_and_left_alone_until_it_is_back() {
    let server = Server::start(port());
    drop(server.connection().await);
    let (ladder, billing) = ladder(&server);
    until("push", || ladder.is_pushed()).await;
    server.signal("STOP");
    let stopped = Instant::now();
    until("the loss", || !ladder.is_pushed()).await;
    assert!(stopped.elapsed() < Duration::from_secs(1), "within max_staleness, but {:?}", stopped.elapsed());
    let asked = Instant::now();
    for account in 0..100 {
        assert_eq!(find(&ladder, &account.to_string()).await.0, Layer::Billing);
    }
    assert!(asked.elapsed() < Duration::from_secs(2), "not a deadline for each: {:?}", asked.elapsed());
    assert_eq!(billing.0.load(Ordering::SeqCst), 100);
    server.signal("CONT");
    until("push again", || ladder.is_pushed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_goes_and_comes_back_is_used_again() {
    let port = port();
    let first = Server::start(port);
    drop(first.connection().await);
    let (ladder, _) = ladder(&first);
    until("push", || ladder.is_pushed()).await;
    drop(first);
    until("the loss", || !ladder.is_pushed()).await;
    assert_eq!(find(&ladder, "a").await.0, Layer::Billing);
    let second = Server::start(port);
    let mut redis = second.connection().await;
    until("push again", || ladder.is_pushed()).await;
    let mut accounts = 0;
    let from_redis = timeout(Duration::from_secs(10), async {
        loop {
            accounts += 1;
            let account = format!("b{accounts}");
            let stored = encoded(OURS, record(&account, 3, "paid"));
            let () =
                ::redis::cmd("SET").arg(key(&account)).arg(stored).query_async(&mut redis).await.expect("it is stored");
            if find(&ladder, &account).await.0 == Layer::Redis {
                break;
            }
        }
    });
    from_redis.await.expect("it is asked again");
}
