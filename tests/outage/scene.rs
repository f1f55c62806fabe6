//! The stage of an outage: two proxies, two billing processes, everything through lines that can be broken, and a reader
//! who has paid and is known everywhere.

use std::time::{Duration, Instant};

use crate::world::lines::Lines;
use crate::world::relay::Relay;
use crate::world::stripe::{Event, Subscription, unique};
use crate::world::{Answer, Arrangement, Received, Setup, Tollgate, World, eventually, send, token};

/// What is gated, and one route that lets pass when nobody can say.
const ROUTES: &str = r#"
[[route]]
path = "/premium/**"
require = { tier = "paid" }

[[route]]
path = "/lenient/**"
require = { tier = "paid" }
on_error = "allow"
"#;

/// How long a change may take to be enforced: the second that is allowed, the deadlines, and what a busy machine adds.
const ENFORCED_WITHIN: Duration = Duration::from_secs(20);

pub struct Scene {
    pub world: World,
    /// Has paid, and is in the memory of every proxy.
    pub reader: Reader,
}

/// Somebody who has bought.
pub struct Reader {
    pub account: String,
    pub token: String,
    pub subscription: Subscription,
}

impl Scene {
    /// Changes are enforced within a second without push. Billing has more time than usual, as the tests share their
    /// machine.
    pub fn setup() -> Setup {
        Setup::new(Arrangement::Replicated)
            .routes(ROUTES)
            .key("cache.max_staleness", "\"1s\"")
            .key("cache.billing_deadline", "\"3s\"")
    }

    pub async fn start() -> Self {
        Self::with(Self::setup()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let world = World::with(setup).await;
        let reader = Reader::new();
        world.accepted(&reader.purchase()).await;
        let scene = Self { world, reader };
        scene.world.everywhere("/premium/known", &scene.reader.token, 200).await;
        scene.pushed(1.0).await;
        scene
    }

    pub fn lines(&self) -> &Lines {
        self.world.lines.as_ref().expect("this arrangement has lines")
    }

    /// Does something to every way to Redis.
    pub fn redis(&self, what: impl Fn(&Relay)) {
        self.lines().redis.iter().for_each(what);
    }

    /// Does something to every way to Postgres.
    pub fn postgres(&self, what: impl Fn(&Relay)) {
        self.lines().postgres.iter().for_each(what);
    }

    /// Waits until every proxy says whether changes are pushed to it.
    pub async fn pushed(&self, expected: f64) {
        pushed(&self.world, expected).await;
    }

    /// Asks one proxy, on a path that nobody else asks for; what it says, and what the site then received.
    pub async fn ask(&self, proxy: &Tollgate, place: &str, token: &str) -> (Answer, Option<Received>) {
        let path = format!("/{place}/{}", unique("page"));
        let answer = send(self.world.request_to(proxy, "GET", &path, Some(token))).await;
        let received = (answer.status == 200).then(|| self.world.upstream.only(&path));
        (answer, received)
    }

    /// The reader is let in by every proxy, again and again, with nothing that says so was in doubt.
    pub async fn reads_on(&self) {
        for _ in 0..5 {
            for proxy in self.world.proxies() {
                let (answer, received) = self.ask(proxy, "premium", &self.reader.token).await;
                let received = received.unwrap_or_else(|| panic!("who has paid is let in: {answer:?}"));
                assert_eq!(received.header("x-entitlement-degraded"), None, "billing can say: {received:?}");
            }
        }
    }

    /// Somebody nobody has heard of is sent to the pricing page by every proxy: billing was asked, and says so.
    pub async fn strangers_pay(&self) {
        for proxy in self.world.proxies() {
            let stranger = token(&unique("stranger"));
            eventually("a stranger has to pay", async || {
                let (answer, _) = self.ask(proxy, "premium", &stranger).await;
                (answer.status == 402).then_some(())
            })
            .await;
        }
    }

    /// A purchase, and an end, are taken and enforced by every proxy, in time.
    pub async fn changes_are_enforced(&self) {
        let buyer = Reader::new();
        self.world.everywhere("/premium/before", &buyer.token, 402).await;
        for (event, status) in [(buyer.purchase(), 200), (buyer.end(), 402)] {
            self.world.accepted(&event).await;
            let taken = Instant::now();
            self.world.everywhere("/premium/after", &buyer.token, status).await;
            assert!(taken.elapsed() < ENFORCED_WITHIN, "{status} after {:?}", taken.elapsed());
        }
    }

    /// Everything is as if nothing had been.
    pub async fn recovers(&self) {
        self.pushed(1.0).await;
        self.told().await;
        self.reads_on().await;
        self.changes_are_enforced().await;
    }

    /// Waits until the cache has been told of everything.
    pub async fn told(&self) {
        let mut connection = self.world.database.as_ref().expect("this world has a database").connect().await;
        eventually("the cache is told of everything", async || {
            let count: i64 = sqlx::query_scalar("select count(*) from outbox")
                .fetch_one(&mut connection)
                .await
                .expect("the outbox can be read");
            (count == 0).then_some(())
        })
        .await;
    }

    /// Waits until one more than before is counted, by some proxy.
    pub async fn counted(&self, name: &str, labels: &[&str], before: f64) {
        eventually(&format!("{name}{labels:?} grows"), async || {
            (self.count(name, labels).await > before).then_some(())
        })
        .await;
    }

    /// The sum over all proxies.
    pub async fn count(&self, name: &str, labels: &[&str]) -> f64 {
        let mut sum = 0.0;
        for proxy in self.world.proxies() {
            sum += proxy.metric(name, labels).await;
        }
        sum
    }
}

/// Waits until every proxy says whether changes are pushed to it.
pub async fn pushed(world: &World, expected: f64) {
    for proxy in world.proxies() {
        pushed_to(proxy, expected).await;
    }
}

/// As [`pushed`], for one of them.
pub async fn pushed_to(proxy: &Tollgate, expected: f64) {
    eventually(&format!("push to {} is {expected}", proxy.process.name), async || {
        (proxy.metric("tollgate_push_connected", &[]).await == expected).then_some(())
    })
    .await;
}

impl Reader {
    pub fn new() -> Self {
        let account = unique("reader");
        let subscription = Subscription { metadata: Some(account.clone()), ..Subscription::of(&unique("cus")) };
        Self { token: token(&account), account, subscription }
    }

    pub fn purchase(&self) -> Event {
        self.subscription.event("created")
    }

    /// Another subscription of the same account, of this moment.
    pub fn again(&self) -> Subscription {
        Subscription { metadata: Some(self.account.clone()), ..Subscription::of(&unique("cus")) }
    }

    pub fn end(&self) -> Event {
        self.subscription.ended().event("deleted")
    }
}
