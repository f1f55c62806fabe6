//! Servers that go away and come back: what is still answered, what is refused, and that nobody has to restart.

use crate::world::stripe::{Event, Subscription, unique};
use crate::world::{Arrangement, Setup, World, eventually, token};

/// The purchase of an account that its metadata names.
fn purchase(account: &str) -> (Subscription, Event) {
    let subscription = Subscription { metadata: Some(account.to_owned()), ..Subscription::of(&unique("cus")) };
    let event = subscription.event("created");
    (subscription, event)
}

#[tokio::test]
async fn a_webhook_is_refused_while_the_database_is_down_and_taken_once_it_is_back() {
    let world = World::with(Setup::new(Arrangement::AllPostgres).relays()).await;
    let account = unique("buyer");
    let (_, event) = purchase(&account);
    world.relays[0].cut();
    let refused = world.deliver(&event).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "database_unavailable"), "{refused:?}");
    world.relays[0].heal();
    eventually("the event is taken", async || (world.deliver(&event).await.status == 200).then_some(())).await;
    world.everywhere("/premium/one", &token(&account), 200).await;
}

#[tokio::test]
async fn who_has_paid_reads_on_while_the_database_is_down() {
    let world = World::with(Setup::new(Arrangement::Separate).relays()).await;
    let account = unique("buyer");
    world.accepted(&purchase(&account).1).await;
    let token = token(&account);
    world.everywhere("/premium/one", &token, 200).await;
    world.relays[0].cut();
    for _ in 0..20 {
        for proxy in world.proxies() {
            let answer = crate::world::send(world.request_to(proxy, "GET", "/premium/one", Some(&token))).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    world.relays[0].heal();
    let another = unique("buyer");
    let event = purchase(&another).1;
    eventually("the next event is taken", async || (world.deliver(&event).await.status == 200).then_some(())).await;
    world.everywhere("/premium/one", &crate::world::token(&another), 200).await;
}

#[tokio::test]
async fn without_redis_a_change_still_reaches_every_proxy_and_push_comes_back_by_itself() {
    let setup = Setup::new(Arrangement::Separate).relays().key("cache.max_staleness", "\"1s\"");
    let world = World::with(setup).await;
    let connected = async |expected: f64| {
        for proxy in world.proxies() {
            eventually("push is as expected", async || {
                (proxy.metric("tollgate_push_connected", &[]).await == expected).then_some(())
            })
            .await;
        }
    };
    connected(1.0).await;
    let account = unique("buyer");
    let (subscription, event) = purchase(&account);
    let token = token(&account);
    world.relays[1].cut();
    connected(0.0).await;
    world.accepted(&event).await;
    world.everywhere("/premium/one", &token, 200).await;
    world.relays[1].heal();
    connected(1.0).await;
    world.accepted(&subscription.ended().event("deleted")).await;
    world.everywhere("/premium/one", &token, 402).await;
}

#[tokio::test]
async fn what_was_pushed_while_a_proxy_was_cut_off_is_not_missed() {
    let world = World::with(Setup::new(Arrangement::Separate).relays()).await;
    let account = unique("buyer");
    let (subscription, event) = purchase(&account);
    let token = token(&account);
    world.accepted(&event).await;
    world.everywhere("/premium/one", &token, 200).await;
    // Everybody loses Redis, billing too; the end is told meanwhile.
    world.relays[1].cut();
    world.accepted(&subscription.ended().event("deleted")).await;
    world.relays[1].heal();
    world.everywhere("/premium/one", &token, 402).await;
    world.everywhere("/premium/one", &token, 402).await;
}

#[tokio::test]
async fn a_process_that_says_it_is_ready_answers_the_first_request_as_it_should() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    let account = unique("buyer");
    world.accepted(&purchase(&account).1).await;
    world.everywhere("/premium/one", &token(&account), 200).await;
    world.processes[0].restart();
    world.processes[0].ready().await;
    assert_eq!(world.get("/premium/one", Some(&token(&account))).await.status, 200);
    assert_eq!(world.get("/premium/one", Some(&token(&unique("free")))).await.status, 402);
}

#[tokio::test]
async fn a_process_that_is_asked_to_stop_lets_requests_end_and_exits_cleanly() {
    let mut world = World::start(Arrangement::AllPostgresRedis).await;
    assert_eq!(world.get("/welcome", None).await.status, 200);
    let status = world.processes[0].process.terminate(crate::world::wait::DEADLINE);
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn what_is_no_record_in_the_cache_is_not_believed() {
    let mut world = World::start(Arrangement::Separate).await;
    let (paid, free) = (unique("buyer"), unique("free"));
    world.accepted(&purchase(&paid).1).await;
    world.everywhere("/premium/one", &token(&paid), 200).await;
    let url = &world.redis.as_ref().expect("this arrangement has one").url;
    let mut redis = redis::Client::open(url.as_str()).expect("a URL");
    let keys = [world.record_key(&free).await, world.record_key(&paid).await];
    let good: String = redis::cmd("GET").arg(&keys[1]).query(&mut redis).expect("billing has stored it");
    for poison in ["garbage", "1:999999:{}", "2:999999:{}", "3:999999:{}", "1:-1:{}", "", good.as_str()] {
        // The record of one account under the key of another, among others.
        for (key, (account, expected)) in keys.iter().zip([(&free, 402), (&paid, 200)]) {
            redis::cmd("SET").arg(key).arg(poison).exec(&mut redis).expect("it is stored");
            // A proxy that has just started knows nothing but what the cache says.
            world.processes[1].restart();
            world.processes[1].ready().await;
            let answer = world.get("/premium/one", Some(&token(account))).await;
            assert_eq!(answer.status, expected, "{poison:?}: {answer:?}");
        }
    }
}
