//! WebSockets and event streams: decided when they begin, and ended when the account may not have them any more.

use std::time::{Duration, Instant};

use super::client::{Client, FRAME, WEBSOCKET, events, status, websocket};
use super::site::Site;
use crate::world::stripe::{DAY, Subscription, checkout_completed, unique};
use crate::world::{Arrangement, Setup, World, eventually, in_seconds, now, token};

/// From the answer to a webhook until what it ends has ended, on every proxy. A push takes milliseconds; the machine that
/// runs the tests may be busy.
const PUSHED: Duration = Duration::from_secs(2);

/// How far ahead an end by time is.
const SOON: i64 = 6;

struct Live {
    world: World,
    site: Site,
}

impl Live {
    /// Here nothing is looked at again but for a push or the end of a segment.
    async fn of(arrangement: Arrangement) -> Self {
        Self::with(Setup::new(arrangement).key("cache.max_staleness", "\"10m\"")).await
    }

    async fn with(setup: Setup) -> Self {
        let site = Site::start().await;
        let world = World::with(setup.upstream(site.address)).await;
        Self { world, site }
    }

    /// An account that pays; its token and its subscription.
    async fn payer(&self, subscription: Subscription) -> (String, Subscription) {
        let account = unique("streamer");
        let token = token(&account);
        self.world.accepted(&checkout_completed(Some(&account), &subscription.customer, &subscription.id)).await;
        self.world.accepted(&subscription.event("created")).await;
        self.world.everywhere("/premium/page", &token, 200).await;
        (token, subscription)
    }

    fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.world.proxies().map(|proxy| proxy.listen.public).collect()
    }

    /// One socket and one stream of an account on every proxy.
    async fn open(&self, target: &str, token: Option<&str>) -> Vec<Client> {
        let mut clients = Vec::new();
        for address in self.addresses() {
            clients.push(websocket(address, &format!("{target}/socket"), token).await);
            clients.push(events(address, &format!("{target}/events"), token).await);
        }
        clients
    }
}

/// Both kinds still carry what is said, in both directions.
async fn go_on(site: &Site, clients: &mut [Client]) {
    let word = unique("word");
    site.say(&word);
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 2 == 0 {
            client.send(&FRAME).await;
            client.receives(&FRAME).await;
        } else {
            client.receives(format!("data: {word}\n\n").as_bytes()).await;
        }
    }
}

#[tokio::test]
async fn streams_end_when_the_subscription_does_and_those_of_others_go_on() {
    for arrangement in [Arrangement::AllPostgres, Arrangement::Separate] {
        let live = Live::of(arrangement).await;
        let (leaver, subscription) = live.payer(Subscription::of(&unique("cus"))).await;
        let (stayer, _) = live.payer(Subscription::of(&unique("cus"))).await;
        let mut leaving = live.open("/premium", Some(&leaver)).await;
        let mut public = live.open("/open", Some(&leaver)).await;
        let mut shadowed = live.open("/shadowed", Some(&leaver)).await;
        let mut staying = live.open("/premium", Some(&stayer)).await;
        for clients in [&mut leaving, &mut public, &mut shadowed, &mut staying] {
            go_on(&live.site, clients).await;
        }
        let all = live.site.open();

        live.world.applied(&subscription.ended().event("deleted")).await;
        let answered = Instant::now();
        for (number, client) in leaving.iter_mut().enumerate() {
            if number % 2 == 0 {
                // A WebSocket is told why: a close frame with 1008 (RFC 6455 section 7.4.1).
                client.receives(b"\x88\x12\x03\xf0payment_required").await;
            }
            client.ends().await;
        }
        assert!(answered.elapsed() < PUSHED, "{:?} after the webhook was applied", answered.elapsed());
        eventually("the site sees its ends close", async || (live.site.open() == all - leaving.len()).then_some(()))
            .await;
        for clients in [&mut public, &mut shadowed, &mut staying] {
            go_on(&live.site, clients).await;
        }
        let mut ended = 0.0;
        for proxy in live.world.proxies() {
            ended += proxy.metric("tollgate_live_ended_total", &["reason=\"payment_required\""]).await;
        }
        assert_eq!(ended as usize, leaving.len());
    }
}

#[tokio::test]
async fn streams_end_with_a_trial_by_time_alone() {
    let live = Live::of(Arrangement::AllPostgresRedis).await;
    let end = in_seconds(SOON);
    let trial = Subscription {
        status: "trialing",
        price: "price_annual".to_owned(),
        trial_end: Some(end),
        period: (in_seconds(-14 * DAY), end),
        ..Subscription::of(&unique("cus"))
    };
    let (trying, _) = live.payer(trial).await;
    let mut clients = live.open("/premium", Some(&trying)).await;
    go_on(&live.site, &mut clients).await;
    for client in &mut clients {
        client.ends().await;
        assert!(now().timestamp() >= end, "it ended before the trial did");
    }
    assert!(now().timestamp() <= end + 2, "it went on after the trial");
}

#[tokio::test]
async fn without_push_an_end_is_noticed_within_the_bound() {
    let mut live = Live::with(Setup::new(Arrangement::Separate).key("cache.max_staleness", "\"1s\"")).await;
    let (leaver, subscription) = live.payer(Subscription::of(&unique("cus"))).await;
    let mut clients = live.open("/premium", Some(&leaver)).await;
    live.world.redis.as_mut().expect("this arrangement has one").kill();
    live.world.applied(&subscription.ended().event("deleted")).await;
    let answered = Instant::now();
    for client in &mut clients {
        client.ends().await;
    }
    assert!(answered.elapsed() < Duration::from_secs(6), "{:?} after it was applied", answered.elapsed());
}

#[tokio::test]
async fn nobody_being_able_to_say_ends_nothing_that_runs() {
    let mut live = Live::with(Setup::new(Arrangement::Separate).key("cache.max_staleness", "\"1s\"")).await;
    let (payer, _) = live.payer(Subscription::of(&unique("cus"))).await;
    let mut clients = live.open("/premium", Some(&payer)).await;
    live.world.redis.as_mut().expect("this arrangement has one").kill();
    live.world.processes[0].process.kill();
    let address = live.addresses()[0];
    // Long enough for several looks that get no answer: the record is stale by then.
    eventually("a request is served from a stale record", async || {
        let proxy = live.world.proxy();
        (proxy.metric("tollgate_degraded_total", &["reason=\"stale\""]).await > 0.0).then_some(()).or({
            Client::connect(address).await.get("/premium/page", Some(&payer)).await;
            None
        })
    })
    .await;
    go_on(&live.site, &mut clients).await;
}

#[tokio::test]
async fn who_may_not_have_a_stream_is_told_at_its_beginning() {
    let live = Live::of(Arrangement::AllPostgres).await;
    let free = token(&unique("free"));
    live.world.everywhere("/premium/page", &free, 402).await;
    let before = live.site.requests();
    for (token, expected) in [(None, 401), (Some("bad"), 401), (Some(free.as_str()), 402)] {
        let mut client = Client::connect(live.addresses()[0]).await;
        client.ask("GET", "/premium/socket", token, &WEBSOCKET).await;
        assert_eq!(status(&client.head().await), expected);
    }
    assert_eq!(live.site.requests(), before, "the site heard of none");
}

#[tokio::test]
async fn a_download_of_known_length_that_was_paid_for_runs_to_its_end() {
    let live = Live::of(Arrangement::AllPostgres).await;
    let (leaver, subscription) = live.payer(Subscription::of(&unique("cus"))).await;
    let mut client = Client::connect(live.addresses()[0]).await;
    client.ask("GET", "/premium/download?blocks=20", Some(&leaver), &[]).await;
    assert_eq!(status(&client.head().await), 200);
    live.world.applied(&subscription.ended().event("deleted")).await;
    live.world.everywhere("/premium/page", &leaver, 402).await;
    live.site.let_go(1);
    client.takes(20 * 64 * 1024).await;
}
